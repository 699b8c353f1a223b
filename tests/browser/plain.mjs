// Without JavaScript: the form, the headings and the pages are plain links and questions.

import { args, check, equal, fleets, open, run } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, args.page, { scripts: false });
  check(await page.locator("noscript p").isVisible(), "it says so");
  equal((await fleets(page)).length, 200, "fleets on the first page");
  await page.click("#next");
  equal((await fleets(page)).length, 60, "fleets on the second page");
  check(await page.getByText("page 2 of 2").isVisible(), "it tells the page");
  await page.fill("#q", "FLEET-0");
  await page.selectOption("#sort", "-name");
  await page.click("form button");
  equal(new URL(page.url()).search, "?q=FLEET-0&sort=-name", "the question");
  equal((await fleets(page)).slice(0, 2), ["fleet-09", "fleet-08"], "found and in order");
  equal(await page.inputValue("#q"), "FLEET-0", "the form keeps the words");
  equal(await page.inputValue("#sort"), "-name", "the form keeps the order");
  await page.click("#by-name");
  equal((await fleets(page))[0], "fleet-00", "turned around");
  equal(await page.getAttribute("th[aria-sort]", "aria-sort"), "ascending", "it is told");
  await page.fill("#q", "nobody");
  await page.press("#q", "Enter");
  await page.click("#all");
  equal((await fleets(page)).length, 200, "all of them again");
}, "--blink-settings=scriptEnabled=false");
