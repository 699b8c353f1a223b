// The pictures of the documentation: all is well by day, an outage by night, on a desktop and on a phone.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { args, check, open, run } from "./lib.mjs";
import { decode, small } from "./png.mjs";

const pictures = [
  ["status-desktop-light", args.fair, { width: 1120, height: 900 }, "light"],
  ["status-desktop-dark", args.foul, { width: 1120, height: 900 }, "dark"],
  ["status-phone-light", args.fair, { width: 390, height: 1250 }, "light"],
  ["status-phone-dark", args.foul, { width: 390, height: 1250 }, "dark"],
];

await run(async (browser) => {
  for (const [name, url, viewport, colorScheme] of pictures) {
    const page = await open(browser, url, { viewport, colorScheme });
    const shot = await page.screenshot();
    const { width, height, pixels } = decode(shot);
    check(width === viewport.width && height === viewport.height, `${name} is ${width} x ${height}`);
    const ground = pixels.readUIntBE(0, 3) > 0x808080 ? "light" : "dark";
    check(ground === colorScheme, `${name} is ${ground}`);
    const picture = small(shot);
    check(picture.length > 15_000 && picture.length < 90_000, `${name} has ${picture.length} bytes`);
    writeFileSync(join(args.folder, `${name}.png`), picture);
    await page.context().close();
  }
});
