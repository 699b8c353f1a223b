// By keyboard alone, and what a screen reader is told.

import { args, check, equal, fleets, open, run, until } from "./lib.mjs";

await run(async (browser) => {
  const page = await open(browser, args.page, { viewport: { width: 1280, height: 900 } });
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  const outlined = () => page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle !== "none");
  const seen = [];
  for (let step = 0; step < 11; step++) {
    await page.keyboard.press("Tab");
    seen.push(await focused());
    check(await outlined(), `${seen.at(-1)} shows that it has the focus`);
  }
  equal(seen, ["Skip to the fleets", "metrics", "json", "q", "sort", "Show", "by-name", "by-online", "by-devices",
    "by-share", "by-change"], "the way of the Tab key");

  await page.focus(".skip");
  await page.keyboard.press("Enter");
  equal(await focused(), "fleets", "the skip link leads to the fleets");
  await page.keyboard.press("Tab");
  equal(await focused(), "by-name", "and from there into the table");

  await page.keyboard.press("Enter");
  await until("names in order", async () => (await fleets(page))[0] === "air-quality");
  equal(await focused(), "by-name", "the heading keeps the focus");
  equal(await page.getAttribute("th:has(#by-name)", "aria-sort"), "ascending", "the order is told");
  equal(await page.inputValue("#sort"), "name", "the form knows it");
  await page.keyboard.press("Enter");
  await until("turned around", async () => (await fleets(page))[0] === "yard-camera");
  equal(await page.getAttribute("th:has(#by-name)", "aria-sort"), "descending", "and the other way round");

  await page.focus("#q");
  await page.keyboard.type("meter");
  await until("two found", async () => (await fleets(page)).length === 2);
  equal(await page.textContent("#said"), "2 fleets of 22 found", "how many are found is announced");
  equal(await focused(), "q", "the field keeps the focus");
  equal(new URL(page.url()).search, "?q=meter&sort=-name", "the address can be kept");
  await page.goBack();
  await until("back", async () => (await fleets(page)).length === 22);
  equal(await page.inputValue("#q"), "", "the form follows");

  const table = page.getByRole("table", { name: "22 fleets. The lines go from no device online to all of them." });
  check(await table.isVisible(), "the table has a name");
  equal((await table.getByRole("columnheader").allTextContents()).map((name) => name.replace(/[▲▼]/, "")),
    ["Fleet", "Online", "Devices", "Share", "Last hour"], "its columns");
  const row = table.getByRole("row", { name: /cold-store/ });
  check(await row.getByRole("rowheader", { name: "cold-store dark northwind/cold-store" }).isVisible(), "a row has a name");
  equal((await row.getByRole("cell").allTextContents()).map((text) => text.trim()),
    ["0 / 48", "48", "0 %", "−47, between 0 and 47"], "its cells");
  for (const name of ["Collecting", "Delivery", "Fleets", "State"]) {
    check(await page.getByRole("region", { name, exact: true }).isVisible(), `the region ${name}`);
  }
});
