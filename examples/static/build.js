// dist/index.html of page.md and layout.html
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { marked } from "marked";

const page = marked.parse(readFileSync("page.md", "utf8"));
const layout = readFileSync("layout.html", "utf8");

mkdirSync("dist", { recursive: true });
writeFileSync("dist/index.html", layout.replace("<!-- page -->", () => page));
copyFileSync("style.css", "dist/style.css");
