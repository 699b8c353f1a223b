// Names that look like markup, or turn the text around, are shown as themselves.

import { args, check, equal, fleets, open, run } from "./lib.mjs";

// What steers is shown as a sign.
const shown = (name) => name.replaceAll("\n", "␊").replaceAll("\u202e", "\ufffd");

await run(async (browser) => {
  const page = await open(browser, args.page + "/?sort=name", { viewport: { width: 360, height: 740 } });
  const known = async (what) => {
    const found = (await fleets(page)).map((name) => name.trim()).sort();
    equal(found, args.names.map((name) => shown(name).trim()).sort(), what);
    equal(await page.evaluate(() => [window.pwned === undefined, document.images.length, document.scripts.length]),
      [true, 0, 1], `${what}: nothing of a name ran`);
  };
  await known("as loaded");
  await page.fill("#q", "acme");
  await page.locator("#found", { hasText: "found" }).waitFor();
  await known("as taken over by the script");
  await page.fill("#q", "<img src=x onerror");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await page.fill("#q", "<b>nobody</b>");
  const empty = page.locator(".empty bdi");
  await empty.waitFor();
  equal(await empty.textContent(), "<b>nobody</b>", "what was searched for");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, `${wide} pixels wider than the window`);
});
