// Every state of the page, in both schemes, on a phone and on a desktop: no error, no violation of the policy, no
// foreign request, nothing that axe finds, nothing wider than the window, nothing that moves.

import { readFileSync } from "node:fs";
import { args, axe, check, open, run } from "./lib.mjs";

const sizes = [{ width: 1280, height: 900 }, { width: 360, height: 740 }];

await run(async (browser) => {
  const judge = readFileSync(axe, "utf8");
  for (const url of args.pages) {
    const page = await open(browser, url);
    // The debugger's own way in is not under the page's policy.
    await page.evaluate(judge);
    for (const viewport of sizes) {
      await page.setViewportSize(viewport);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        const where = `${url} ${viewport.width} ${colorScheme}`;
        const { violations, passes } = await page.evaluate(
          () => window.axe.run(document, { resultTypes: ["violations"] }));
        check(passes.length > 10, `${where}: axe looked at nothing`);
        for (const { id, help, nodes } of violations) {
          check(false, `${where}: ${id}: ${help}: ${nodes.map((node) => node.html).join(" | ")}`);
        }
        const { wide, moving } = await page.evaluate(() => ({
          wide: document.documentElement.scrollWidth - innerWidth, moving: document.getAnimations().length,
        }));
        check(wide <= 0, `${where}: ${wide} pixels wider than the window`);
        check(moving === 0, `${where}: ${moving} things move`);
      }
    }
    await page.context().close();
  }
});
