import express from "express";
import ms from "ms";

const { DYNO = "?", HEROKU_RELEASE_VERSION = "?", PORT = 5000 } = process.env;
const app = express();

app.get("/", (request, response) => {
  const uptime = ms(Math.round(process.uptime() * 1000), { long: true });
  response.type("text").send(`Hello from Node.js on ${DYNO}, release ${HEROKU_RELEASE_VERSION}\nup for ${uptime}\n`);
});

const server = app.listen(PORT, "0.0.0.0", () => console.log(`listening on ${PORT}`));

// requests that run may end: the platform waits before it kills
process.on("SIGTERM", () => server.close(() => process.exit(0)));
