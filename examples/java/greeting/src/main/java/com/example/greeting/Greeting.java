package com.example.greeting;

import java.time.Duration;
import java.util.Map;

/** The words of the page: who answers, of which release, and for how long it has been up. */
public final class Greeting {
    private Greeting() {}

    /** The page for a process with these environment variables that has been up for this long. */
    public static String page(Map<String, String> environment, Duration up) {
        return "Hello from Java on %s, release %s%nUp for %s%n"
                .formatted(
                        environment.getOrDefault("DYNO", "?"),
                        environment.getOrDefault("HEROKU_RELEASE_VERSION", "?"),
                        inWords(up));
    }

    static String inWords(Duration duration) {
        return "%d h %d min %d s"
                .formatted(duration.toHours(), duration.toMinutesPart(), duration.toSecondsPart());
    }
}
