// Dim the pixels of each image that don't reach its threshold, and in the product those that don't reach both.
// Arguments: `pictures` and `veils` are data sources, `corr` and `pnr` the spans that show the thresholds.
const cn = pictures.data.cn[0];
const ratio = pictures.data.pnr[0];
if (cn === undefined || ratio === undefined) return;
// The kernel compares in single precision, and so must the page.
const min_corr = Math.fround(corr.location);
const min_pnr = Math.fround(pnr.location);
const empty = () => new cn.constructor(cn.length, cn.shape);
const veil = { corr: empty(), pnr: empty(), product: empty() };
for (let i = 0; i < cn.length; i++) {
  const low_corr = cn[i] < min_corr;
  const low_pnr = ratio[i] < min_pnr;
  veil.corr[i] = low_corr ? 1 : 0;
  veil.pnr[i] = low_pnr ? 1 : 0;
  veil.product[i] = low_corr || low_pnr ? 1 : 0;
}
veils.data = { corr: [veil.corr], pnr: [veil.pnr], product: [veil.product] };
