// The pictures of the documentation: all is well on a desktop by day and on a phone by day, an outage by night.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { args, check, open, run } from "./lib.mjs";

const pictures = [
  ["status-desktop-light", args.fair, { width: 1120, height: 900 }, "light"],
  ["status-desktop-dark", args.foul, { width: 1120, height: 1000 }, "dark"],
  ["status-phone-light", args.fair, { width: 390, height: 1150 }, "light"],
  ["status-phone-dark", args.foul, { width: 390, height: 1300 }, "dark"],
];

await run(async (browser) => {
  for (const [name, url, viewport, colorScheme] of pictures) {
    const page = await open(browser, url, { viewport, colorScheme });
    const path = join(args.folder, `${name}.png`);
    await page.screenshot({ path });
    const bytes = readFileSync(path);
    const size = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
    check(size[0] === viewport.width && size[1] === viewport.height, `${name} is ${size}`);
    check(bytes.length > 20_000 && bytes.length < 200_000, `${name} has ${bytes.length} bytes`);
    await page.context().close();
  }
});
