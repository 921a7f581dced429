package com.example.web;

import com.example.greeting.Greeting;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.Executors;

/** Answers every request with the greeting, on the port that the platform gives. */
public final class Web {
    private static final Instant STARTED = Instant.now();

    private Web() {}

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "5000"));
        HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", port), 0);
        server.createContext("/", Web::answer);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
        System.out.println("Listening on port " + port);
    }

    private static void answer(HttpExchange exchange) throws IOException {
        String page = Greeting.page(System.getenv(), Duration.between(STARTED, Instant.now()));
        byte[] body = page.getBytes(StandardCharsets.UTF_8);
        try (exchange) {
            exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
        }
    }
}
