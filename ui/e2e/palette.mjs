// PNGs with a palette of 252 colours, which take a quarter of the space of those that browsers write.
import { deflateSync } from 'node:zlib';
import { crc32 } from '../fixture/crc.mjs';

/** Shades of red, green and blue. */
const SHADES = [6, 7, 6];
const shade = (value, count) => Math.round((value * (count - 1)) / 255);

/** Replaces each colour of an RGBA image by the nearest one of the palette. */
export function reduce(data) {
  for (let i = 0; i < data.length; i++) if (i % 4 < 3) data[i] = Math.round((shade(data[i], SHADES[i % 4]) * 255) / (SHADES[i % 4] - 1));
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** The PNG of a reduced RGBA image. */
export function encode({ width, height, data }) {
  const [reds, greens, blues] = SHADES;
  const palette = Buffer.alloc(3 * reds * greens * blues);
  for (let i = 0; i < palette.length / 3; i++) {
    [Math.floor(i / (greens * blues)), Math.floor(i / blues) % greens, i % blues].forEach((of, c) => { palette[3 * i + c] = Math.round((of * 255) / (SHADES[c] - 1)); });
  }
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 4 * (y * width + x);
      const [r, g, b] = SHADES.map((count, c) => shade(data[at + c], count));
      rows[y * (width + 1) + 1 + x] = (r * greens + g) * blues + b;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  // Eight bits, indexed.
  head.set([8, 3, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head), chunk('PLTE', palette), chunk('IDAT', deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
}
