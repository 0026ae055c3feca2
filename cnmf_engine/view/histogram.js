// Counts the pixels in view into the bars of the histogram, whenever the view changes.
// image, bars: the two data sources; height: the range of the bars; across, down: the ranges of the view, in
// pixels of the movie; column, row: pixels of the movie in one of the image; low, step, n_bins: the bins.
const pixels = image.data.image[0], [n_rows, n_cols] = pixels.shape;

// First and last pixel of the image in a range. Pixel centres are whole numbers, so edges lie at halves.
function span(range, size, n) {
  const pixel = (place) => Math.min(Math.max(Math.floor((place + 0.5) / size), 0), n - 1);
  return [pixel(Math.min(range.start, range.end)), pixel(Math.max(range.start, range.end))];
}
const [top_row, last_row] = span(down, row, n_rows), [first_col, last_col] = span(across, column, n_cols);

const share = new Float64Array(n_bins);
const part = 1 / ((last_row - top_row + 1) * (last_col - first_col + 1));
for (let r = top_row; r <= last_row; r++) {
  for (let c = first_col; c <= last_col; c++) {
    const bin = Math.floor((pixels[r * n_cols + c] - low) / step);
    share[Math.min(Math.max(bin, 0), n_bins - 1)] += part;
  }
}
bars.data = {...Object.fromEntries(Object.entries(bars.data)), top: share};
height.end = 1.05 * Math.max(...share);
