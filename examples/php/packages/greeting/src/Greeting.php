<?php

namespace Examples\Greeting;

/** Says which dyno greets, and how many requests it answers at once. */
final class Greeting
{
    /** @param array<string, string> $environment */
    public function __construct(private array $environment)
    {
    }

    public function __toString(): string
    {
        $dyno = $this->environment['DYNO'] ?? '?';
        $release = $this->environment['HEROKU_RELEASE_VERSION'] ?? '?';

        return "Hello from PHP on $dyno, release $release\nPHP " . PHP_VERSION . ", {$this->processes()} at once\n";
    }

    private function processes(): string
    {
        $count = (int) ($this->environment['WEB_CONCURRENCY'] ?? 1);

        return $count === 1 ? 'one request' : "$count requests";
    }
}
