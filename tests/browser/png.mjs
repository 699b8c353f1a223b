// Makes a screenshot small: its 256 most frequent colours, and the others as the nearest of these.

import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = 8;

function* chunks(png) {
  for (let at = SIGNATURE; at < png.length;) {
    const length = png.readUInt32BE(at);
    yield [png.toString("latin1", at + 4, at + 8), png.subarray(at + 8, at + 8 + length)];
    at += 12 + length;
  }
}

// Width, height and three bytes for each pixel, as Chromium writes them: 8 bits, RGB, not interlaced.
export function decode(png) {
  const all = [...chunks(png)];
  const head = all.find(([name]) => name === "IHDR")[1];
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  if (head[8] !== 8 || head[9] !== 2 || head[12] !== 0) throw new Error("another kind of PNG than expected");
  const raw = inflateSync(Buffer.concat(all.filter(([name]) => name === "IDAT").map(([, data]) => data)));
  const stride = width * 3, pixels = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const here = y * stride + x;
      const left = x >= 3 ? pixels[here - 3] : 0, up = y ? pixels[here - stride] : 0;
      const corner = x >= 3 && y ? pixels[here - stride - 3] : 0;
      const paeth = () => {
        const [a, b, c] = [up - corner, left - corner, left + up - 2 * corner].map(Math.abs);
        return a <= b && a <= c ? left : b <= c ? up : corner;
      };
      const guess = [() => 0, () => left, () => up, () => (left + up) >> 1, paeth][filter]();
      pixels[here] = raw[y * (stride + 1) + 1 + x] + guess;
    }
  }
  return { width, height, pixels };
}

export function small(png) {
  const { width, height, pixels } = decode(png);
  const counts = new Map();
  for (let at = 0; at < pixels.length; at += 3) {
    const colour = pixels.readUIntBE(at, 3);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const palette = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 256).map(([colour]) => colour);
  const parts = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];
  const places = new Map(palette.map((colour, place) => [colour, place]));
  for (const colour of counts.keys()) {
    if (places.has(colour)) continue;
    const distances = palette.map((other) => parts(other).reduce((sum, part, i) => sum + (part - parts(colour)[i]) ** 2, 0));
    places.set(colour, distances.indexOf(Math.min(...distances)));
  }
  const rows = Buffer.alloc((width + 1) * height);
  for (let at = 0; at < width * height; at++) {
    rows[at + 1 + Math.floor(at / width)] = places.get(pixels.readUIntBE(at * 3, 3));
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 3], 8);
  const data = [["IHDR", head], ["PLTE", Buffer.from(palette.flatMap(parts))],
    ["IDAT", deflateSync(rows, { level: 9 })], ["IEND", Buffer.alloc(0)]];
  return Buffer.concat([png.subarray(0, SIGNATURE), ...data.map(([name, body]) => chunk(name, body))]);
}

function chunk(name, body) {
  const framed = Buffer.concat([Buffer.alloc(4), Buffer.from(name, "latin1"), body, Buffer.alloc(4)]);
  framed.writeUInt32BE(body.length, 0);
  framed.writeUInt32BE(crc(framed.subarray(4, -4)), framed.length - 4);
  return framed;
}

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
