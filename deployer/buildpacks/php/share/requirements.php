<?php
// requirements.php COMPOSER_JSON [COMPOSER_LOCK]: what of PHP and its extensions is asked for, but is not here; a line each.

require '/usr/share/php/Composer/Semver/autoload.php';

use Composer\Semver\Semver;

function read(string $file): array
{
    $read = json_decode(trim(file_get_contents($file)) ?: '{}', true);
    if (!is_array($read)) {
        fwrite(STDERR, "$file is not valid JSON: " . json_last_error_msg() . "\n");
        exit(2);
    }
    return $read;
}

$asking = [basename($argv[1]) => read($argv[1])];
$given = [];
foreach (isset($argv[2]) ? read($argv[2])['packages'] ?? [] : [] as $package) {
    $asking[$package['name']] = $package;
    // a polyfill stands in for an extension
    $given += ($package['provide'] ?? []) + ($package['replace'] ?? []);
}

foreach ($asking as $who => $package) {
    foreach ($package['require'] ?? [] as $name => $constraint) {
        $name = strtolower($name);
        if (preg_match('/^php(-64bit)?$/', $name)) {
            Semver::satisfies(PHP_VERSION, $constraint) || print("PHP $constraint, but there is " . PHP_VERSION . " ($who)\n");
        } elseif (str_starts_with($name, 'ext-') && !isset($given[$name])) {
            $extension = substr($name, 4) === 'zend-opcache' ? 'Zend OPcache' : substr($name, 4);
            extension_loaded($extension) || print("$name, which is not there ($who)\n");
        }
    }
}
