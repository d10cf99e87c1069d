// Sizes of tiles: pure arithmetic.

const RATIO = 16 / 9;
const GAP = 10;
/** Tiles may be this much taller than 16:9 says, to fill a tall screen (a phone held upright). */
const TALLEST = 4 / 3;

/** The largest equal tiles for `count` in an area: { columns, width, height } in CSS pixels. */
export function bestGrid(count, areaWidth, areaHeight) {
  let best = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const tile = fit(columns, Math.ceil(count / columns), areaWidth, areaHeight);
    if (tile.width * tile.height > best.width * best.height) best = { columns, ...tile };
  }
  return best;
}

function fit(columns, rows, areaWidth, areaHeight) {
  const width = (areaWidth - GAP * (columns - 1)) / columns;
  const height = (areaHeight - GAP * (rows - 1)) / rows;
  if (width <= 0 || height <= 0) return { width: 0, height: 0 };
  if (width / height >= RATIO) return { width: Math.floor(height * RATIO), height: Math.floor(height) };
  return { width: Math.floor(width), height: Math.floor(Math.min(height, width / RATIO * (RATIO / TALLEST))) };
}

/** With somebody large: where the small ones stand, beside (wide area) or below (tall area), and how large they are. */
export function spotlight(count, areaWidth, areaHeight) {
  const beside = areaWidth > areaHeight * 1.2;
  const across = beside ? Math.min(240, areaWidth * 0.24) : Math.min(200, areaWidth / Math.min(3, Math.max(2, count)) - GAP);
  return { beside, width: Math.floor(across), height: Math.floor(across / RATIO) };
}
