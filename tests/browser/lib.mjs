// What the scripts beside it share: a browser that tells of everything that goes wrong in it, and an end that
// says so.

import { createRequire } from "node:module";

const [tools, known] = process.argv.slice(2);
const require = createRequire(tools + "/");
const { chromium } = require("playwright-core");

export const args = JSON.parse(known);
export const axe = require.resolve("axe-core/axe.min.js");

const wrong = [];

export function check(so, what) {
  if (!so) wrong.push(what);
}

export function equal(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  check(a === b, `${what}: found ${a}, expected ${b}`);
}

// Waits until something is so; what is never so is wrong.
export async function until(what, so) {
  for (const started = Date.now(); Date.now() - started < 20_000;) {
    if (await so()) return;
    await new Promise((again) => setTimeout(again, 20));
  }
  throw new Error(`not within 20 s: ${what}`);
}

// Opens a page whose every complaint counts, unless `mayFail` says that it is expected by now.
export async function open(browser, url, options = {}) {
  const { mayFail = () => false, scripts = true, ...rest } = options;
  const context = await browser.newContext(rest);
  const page = await context.newPage();
  const say = (what) => mayFail() || wrong.push(`${url} ${JSON.stringify(rest)}: ${what}`);
  page.on("console", (line) => ["error", "warning"].includes(line.type()) && say(`${line.type()} ${line.text()}`));
  page.on("pageerror", (error) => say(`error ${error}`));
  page.on("dialog", (dialog) => { say(`dialog ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    const own = request.url().startsWith(new URL(url).origin + "/") || request.url().startsWith("data:");
    if (!own) say(`asks ${request.url()}`);
  });
  if (scripts) {
    await page.exposeFunction("violated", (what) => say(`policy violated: ${what}`));
    await page.addInitScript(() => document.addEventListener("securitypolicyviolation",
      (event) => window.violated(`${event.violatedDirective} ${event.blockedURI}`)));
  }
  const answer = await page.goto(url);
  check(answer.ok(), `${url} answered ${answer.status()}`);
  return page;
}

export const fleets = (page) => page.locator("tbody th bdi:first-child").allTextContents();

export async function run(test, ...more) {
  let browser;
  try {
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--font-render-hinting=none", "--disable-lcd-text", ...more],
    });
    await test(browser);
  } catch (error) {
    wrong.push(error.stack);
  } finally {
    await browser?.close();
  }
  for (const what of wrong) console.log(`FAILED: ${what}`);
  console.log(wrong.length ? "failed" : "done");
  process.exit(wrong.length ? 1 : 0);
}
