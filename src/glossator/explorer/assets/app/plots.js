// Small plots of pages about how things were made: curves, histograms beside a control, values in strips.
"use strict";

// series: [{name, x, y, kind}], kind a class of the style; levels: [{name, y, kind}], lines across; low, high: of y.
function Curves({ series, levels = [], xName, yName, low = null, high = null, whole = false, label }) {
  const width = 420, height = 190, left = 46, right = 10, top = 10, bottom = 34;
  const shown = series.map((s) => ({ ...s, points: s.x.map((x, i) => [x, s.y[i]]).filter(([, y]) => y !== null && y !== undefined) })).filter((s) => s.points.length);
  const across = levels.filter((l) => l.y !== null && l.y !== undefined);
  if (!shown.length) return html`<p class="quiet">Nothing was noted.</p>`;
  const xs = sampled(shown.flatMap((s) => s.points.map((p) => p[0])), Math.max), ys = [...shown.flatMap((s) => s.points.map((p) => p[1])), ...across.map((l) => l.y)];
  const x0 = Math.min(...shown.map((s) => s.points[0][0])), x1 = Math.max(...xs, x0 + 1e-9), y0 = low ?? Math.min(...ys), y1 = high ?? Math.max(...ys, y0 + 1e-9);
  const pad = (y1 - y0 || 1) * 0.04, from = low === null ? y0 - pad : y0, to = high === null ? y1 + pad : y1;
  const px = (v) => left + ((v - x0) / (x1 - x0 || 1)) * (width - left - right), py = (v) => height - bottom - ((within(v, [from, to]) - from) / (to - from || 1)) * (height - top - bottom);
  const [yt, yd] = ticks(from, to, 5), [xt, xd] = whole ? [ticks(x0, x1, 6)[0].filter(Number.isInteger), 0] : ticks(x0, x1, 6);
  return html`<svg class="curves" viewBox="0 0 ${width} ${height}" role="img" aria-label=${label || `${yName} by ${xName}: ${shown.map((s) => `${s.name} from ${precise(s.points[0][1])} to ${precise(s.points.at(-1)[1])}`).join("; ")}`}>
    ${yt.map((t) => html`<g><line class="grid" x1=${left} x2=${width - right} y1=${py(t)} y2=${py(t)} /><text x=${left - 5} y=${py(t) + 4} text-anchor="end">${number(t, yd)}</text></g>`)}
    ${xt.map((t) => html`<text x=${px(t)} y=${height - bottom + 14} text-anchor="middle">${number(t, xd)}</text>`)}
    ${across.map((l) => html`<line class="curve level ${l.kind || ""}" x1=${left} x2=${width - right} y1=${py(l.y)} y2=${py(l.y)}><title>${l.name} ${precise(l.y)}</title></line>`)}
    ${shown.map((s) => s.points.length === 1 ? html`<circle class="curvedot ${s.kind || ""}" cx=${px(s.points[0][0])} cy=${py(s.points[0][1])} r="3" />` : html`<path class="curve ${s.kind || ""}" d=${"M" + s.points.map(([x, y]) => `${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("L")}><title>${inert(s.name)}</title></path>`)}
    ${shown.flatMap((s) => (s.marked || []).map((i) => html`<circle class="curvedot ${s.kind || ""}" cx=${px(s.x[i])} cy=${py(s.y[i])} r="3.4"><title>${inert(s.name)}: ${precise(s.y[i])}</title></circle>`))}
    <text x=${(left + width - right) / 2} y=${height - 4} text-anchor="middle">${xName}</text>
    <text transform="translate(10 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">${yName}</text></svg>`;
}
// What the lines of a plot are.
const Keys = ({ list }) => html`<p class="quiet legend keys">${list.filter(Boolean).map(([kind, name]) => html`<span class="nowrap"><svg viewBox="0 0 22 8" aria-hidden="true"><path class="curve ${kind}" d="M1 4H21" /></svg> ${name}</span> `)}</p>`;

// Counts of one or two histograms with the same edges, the second one (a control) as an outline; each of its own height.
function Bars({ bars, outline = null, xName, exponent = false, label }) {
  const width = 420, height = 170, left = 34, right = 18, top = 12, base = height - 34, edges = bars.edges;
  const low = edges[0], high = edges.at(-1), x = (v) => left + ((v - low) / (high - low || 1)) * (width - left - right);
  const shares = (h) => { const most = Math.max(...h.counts, 1); return h.counts.map((n) => n / most); };
  const own = shares(bars), beside = outline ? shares(outline) : [];
  const path = outline ? "M" + beside.flatMap((s, i) => [`${x(outline.edges[i]).toFixed(1)} ${(base - s * (base - top)).toFixed(1)}`, `${x(outline.edges[i + 1]).toFixed(1)} ${(base - s * (base - top)).toFixed(1)}`]).join("L") : "";
  const [marks, digits] = exponent ? [ticks(low, high, 8)[0].filter((t) => Math.abs(t - Math.round(t)) < 1e-9), 0] : ticks(low, high, 6);
  return html`<svg class="bars" viewBox="0 0 ${width} ${height}" role="img" aria-label=${label}>
    ${own.map((s, i) => s ? html`<rect class="bin" x=${x(edges[i]) + 0.5} width=${Math.max(0.5, x(edges[i + 1]) - x(edges[i]) - 1)} y=${base - s * (base - top)} height=${Math.max(0.8, s * (base - top))}><title>${exponent ? `10^${number(edges[i])} to 10^${number(edges[i + 1])}` : `${precise(edges[i])} to ${precise(edges[i + 1])}`}: ${count(bars.counts[i])}</title></rect>` : null)}
    ${outline ? html`<path class="curve control" d=${path} />` : null}
    <line class="zero" x1=${left} x2=${width - right} y1=${base} y2=${base} /><text x=${left - 4} y=${top + 4} text-anchor="end">${count(Math.max(...bars.counts))}</text><text x=${left - 4} y=${base} text-anchor="end">0</text>
    ${marks.map((t) => html`<text x=${x(t)} y=${base + 14} text-anchor="middle">${exponent ? html`10<tspan dy="-4" font-size="8">${number(t, digits)}</tspan>` : number(t, digits)}</text>`)}
    <text x=${width / 2} y=${height - 3} text-anchor="middle">${xName}</text></svg>`;
}

// One row for each group: its values as ticks, its mean with its interval as a dot.
function Strips({ groups, low, high, xName }) {
  const width = 170, tall = 26, x = (v) => 12 + ((within(v, [low, high]) - low) / (high - low || 1)) * (width - 24);
  const [marks, digits] = ticks(low, high, 3);
  return html`<div class="strips">${groups.map((g) => html`<div class="strip"><span class="name">${inert(g.name)}</span>
      <svg viewBox="0 0 ${width} ${tall}" role="img" aria-label="${g.name}: mean ${number(g.mean.value)} ${interval(g.mean.low, g.mean.high)}">
        ${marks.map((t) => html`<line class="grid" x1=${x(t)} x2=${x(t)} y1="0" y2=${tall} />`)}
        ${g.values.map((v) => v === null ? null : html`<line class="tick" x1=${x(v)} x2=${x(v)} y1="4" y2="15" />`)}
        ${g.mean.value === null ? null : html`<g class="mean">${g.mean.low === null ? null : html`<line x1=${x(g.mean.low)} x2=${x(g.mean.high)} y1="20" y2="20" />`}<circle cx=${x(g.mean.value)} cy="20" r="3.4" /></g>`}</svg>
      <span class="value"><b>${number(g.mean.value)}</b> <span class="quiet">${interval(g.mean.low, g.mean.high)}</span>${g.mean.value === null ? html`<span class="quiet why">${inert(g.mean.reason)}</span>` : null}</span></div>`)}
    <div class="strip" aria-hidden="true"><span class="name quiet">${xName}</span><svg viewBox="0 0 ${width} 14">${marks.map((t) => html`<text x=${x(t)} y="11" text-anchor="middle">${number(t, digits)}</text>`)}</svg><span class="value"></span></div></div>`;
}
