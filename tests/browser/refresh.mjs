// The page asks for itself: new counts come, and what its reader has done stays. Then the program is killed.

import { writeFileSync } from "node:fs";
import { args, check, equal, open, run, until } from "./lib.mjs";

await run(async (browser) => {
  let gone = false;
  const page = await open(browser, args.page, { viewport: { width: 1000, height: 500 }, mayFail: () => gone });
  await page.selectOption("#sort", "name");
  await page.waitForURL("**/?sort=name");
  await page.fill("#q", "fleet-1");
  await until("ten found", async () => await page.locator("tbody tr").count() === 10);
  await page.focus("#q");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await page.evaluate(() => scrollTo(0, 250));
  const state = () => page.evaluate(() => {
    const field = document.getElementById("q");
    return { focus: document.activeElement.id, caret: field.selectionStart, words: field.value, scroll: scrollY,
      order: document.getElementById("sort").value, address: location.search };
  });
  const before = await state();
  equal([before.focus, before.words, before.caret, before.order], ["q", "fleet-1", 5, "name"], "what the reader has done");
  check(before.scroll > 100, `scrolled by ${before.scroll}`);
  await page.evaluate(() => { window.same = true; });

  writeFileSync(args.looking, "");
  const online = page.locator("tr:has-text('acme/fleet-13') td.n >> nth=0");
  await until("the new count", async () => (await online.textContent()).startsWith("77"));
  check(await page.title() !== "fleetpush", "the title tells the counts");
  equal(await state(), before, "what the reader has done stays");
  equal(await page.evaluate(() => window.same), true, "the page was not loaded again");

  await page.focus("#by-devices");
  const heading = await page.$("#by-devices");
  writeFileSync(args.again, "");
  await until("a newer count", async () => (await online.textContent()).startsWith("55"));
  equal(await heading.evaluate((old) => old.isConnected), false, "the table was replaced");
  equal((await state()).focus, "by-devices", "a link in the middle of it keeps the focus");

  gone = true;
  writeFileSync(args.seen, "");
  const lost = page.locator("#lost");
  await until("the loss is told", async () => /^Not refreshed since \d\d:\d\d:\d\d UTC: /.test(await lost.textContent()));
  check(await lost.isVisible(), "and seen");
  equal(await page.locator("tbody tr").count(), 10, "what was known stays");
});
