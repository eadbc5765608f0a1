// Plots: one score beside its baselines, distributions over units, dots with a brush, histograms.
"use strict";

// A score with its interval as a bar from zero, its baselines as marks.
function ScoreBar({ score, width = 220, height = 18, low = null, high = null }) {
  const beside = score.baselines.filter((b) => b.value !== null);
  const values = [score.value, score.low, score.high, ...beside.map((b) => b.value)].filter((v) => v !== null);
  const from = low ?? Math.min(0, ...values), to = high ?? Math.max(1, ...values);
  const x = (v) => 5 + ((Math.min(Math.max(v, from), to) - from) / (to - from || 1)) * (width - 10), y = height / 2;
  return html`<svg class="scorebar" viewBox="0 0 ${width} ${height}" role="img" aria-label=${said(score)}>
    <line class="axis" x1=${x(from)} x2=${x(to)} y1=${y} y2=${y} />
    <line class="zero" x1=${x(0)} x2=${x(0)} y1="2" y2=${height - 2} />
    ${score.value === null ? null : html`<rect class="value" x=${Math.min(x(0), x(score.value))} width=${Math.abs(x(score.value) - x(0))} y=${y - 3} height="6" />`}
    ${beside.map((b) => html`<path class=${markClass(b.baseline)} d=${markOf(b.baseline, x(b.value), y, 3.5)}><title>${b.baseline} ${number(b.value)}</title></path>`)}
    ${score.low === null || score.value === null ? null : html`<g class="range"><line x1=${x(score.low)} x2=${x(score.high)} y1=${y} y2=${y} /><line x1=${x(score.low)} x2=${x(score.low)} y1=${y - 4} y2=${y + 4} /><line x1=${x(score.high)} x2=${x(score.high)} y1=${y - 4} y2=${y + 4} /></g>`}
    ${score.value === null ? null : html`<circle class="dot" cx=${x(score.value)} cy=${y} r="3.2" />`}
  </svg>`;
}
const said = (score) => (score.value === null ? `${score.name}: missing, ${score.reason}`
  : `${score.name} ${number(score.value)} ${interval(score.low, score.high)}; ${score.baselines.map((b) => `${b.baseline} ${number(b.value)}`).join(", ")}`);

function ticks(low, high, most = 6) {
  const step = [1, 2, 5].flatMap((m) => [-3, -2, -1, 0, 1, 2, 3, 4].map((e) => m * 10 ** e)).sort((a, b) => a - b).find((s) => (high - low) / s <= most) || high - low || 1;
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9; i++) found.push(i * step);
  return [found, Math.max(0, Math.min(4, Math.ceil(-Math.log10(step) - 1e-9)))];
}

// One row for the explanations of each site and method and for each baseline: all units as a small histogram, the middle half
// as a box, the mean with its interval as a dot. Of more than a few sites and methods baselines are folded below.
const FEW = 4;
function Distribution({ data, rate }) {
  const width = 720, left = 8, right = 12, tall = 34, { low, high } = data, many = data.groups.length > FEW;
  const x = (v) => left + ((v - low) / (high - low || 1)) * (width - left - right);
  const [marks, digits] = ticks(low, high);
  const titled = (group) => html`${inert(group.site)}${{ "+": "", "-": " (−)" }[group.polarity] ?? ` (${group.polarity})`} <span class="quiet">${inert(group.method)}, ${count(group.rows[0].n)} of ${plural(group.units, "unit")}</span>`;
  const svg = (label, inside) => html`<svg viewBox="0 0 ${width} ${tall}" preserveAspectRatio="none" role="img" aria-label=${label}>${marks.map((t) => html`<line class=${Math.abs(t) < 1e-9 ? "zero" : "grid"} x1=${x(t)} x2=${x(t)} y1="0" y2=${tall} />`)}${inside}</svg>`;
  const mean = (value, at, kind = "mean") => value.value === null ? null : html`<g class=${kind}>${value.low === null ? null : html`<line x1=${x(value.low)} x2=${x(value.high)} y1=${at} y2=${at} />`}<circle cx=${x(value.value)} cy=${at} r="3.4" /></g>`;
  const value = (one) => html`<span class="value"><b>${number(one.value)}</b> <span class="quiet">${interval(one.low, one.high)}</span></span>`;
  const drawn = (row, most) => svg(`${row.name || "explanations"}: mean ${number(row.mean.value)} ${interval(row.mean.low, row.mean.high)}, median ${number(row.quantiles[2])}, ${row.n} units`, html`
    ${row.bins.map((n, i) => n ? html`<rect class="bin" x=${x(low + (i * (high - low)) / row.bins.length)} width=${(width - left - right) / row.bins.length - 0.6} y=${tall - 6 - (n / most) * (tall - 10)} height=${Math.max(0.8, (n / most) * (tall - 10))} />` : null)}
    ${row.quantiles.length ? html`<line class="whisker" x1=${x(row.quantiles[0])} x2=${x(row.quantiles[4])} y1=${tall - 3} y2=${tall - 3} /><line class="half" x1=${x(row.quantiles[1])} x2=${x(row.quantiles[3])} y1=${tall - 3} y2=${tall - 3} />` : null}
    ${mean(row.mean, tall - 3)}`);
  const over = (row) => (row.over && row.over.value !== null ? html`margin ${number(row.over.value)} ${interval(row.over.low, row.over.high)}${row.above ? `; ${count(row.above[0])} of ${count(row.above[1])} above` : ""}` : "");
  const beside = (group, most) => html`${group.rows.slice(1).map((row) => html`<div class="spread beside"><span class="name"><${Mark} name=${row.name} /> ${inert(row.name)}</span>${drawn(row, most)}${value(row.mean)}<span class="over quiet">${over(row)}</span></div>`)}
    ${group.random_weights ? html`<div class="spread beside"><span class="name"><${Mark} name="random weights" /> untrained network</span>${svg("mean of the untrained network", mean(group.random_weights, tall / 2, "mean untrained"))}${value(group.random_weights)}<span class="over quiet">the same architecture with random weights${group.random_weights.value === null ? `: ${inert(group.random_weights.reason)}` : ""}</span></div>` : null}`;
  const means = (group) => [...group.rows.slice(1).map((row) => [row.name, row.mean.value]), ...(group.random_weights ? [["untrained", group.random_weights.value]] : [])].map(([name, v]) => `${inert(name)} ${number(v)}`).join(", ");
  return html`<div class="distribution">
    ${data.groups.map((group) => {
      const most = Math.max(1, ...group.rows.flatMap((row) => row.bins)), [own] = group.rows;
      return many ? html`<${Fold} key=${group.site + group.polarity + group.method} name=${`group-${group.site}${group.polarity}-${group.method}`} class="group"><summary class="spread"><span class="name"><strong>${titled(group)}</strong></span>${drawn(own, most)}${value(own.mean)}<span class="over quiet">${means(group)}</span></summary>${beside(group, most)}<//>`
        : html`<section class="group"><h4>${titled(group)}</h4><div class="spread"><span class="name"><strong>explanations</strong></span>${drawn(own, most)}${value(own.mean)}<span class="over quiet"></span></div>${beside(group, most)}</section>`;
    })}
    <div class="spread ticks" aria-hidden="true"><span class="name"></span><span class="scale">${marks.map((t) => html`<i style=${{ left: `${(100 * x(t)) / width}%` }}>${number(t, digits)}</i>`)}</span><span class="value"></span><span class="over"></span></div>
    <p class="quiet legend">Bars: units. Thick line: middle half of the units; thin line: 5 to 95 %. Dot: mean, with its 95 % interval over units.${many ? " Unfold a row for its baselines." : ""} “Above”: units with q ≤ ${rate}.</p>
  </div>`;
}

// Dots on a canvas, as there may be 100,000; a rectangle drawn on it selects, a click opens the nearest.
function Scatter({ data, chosen, onBrush, onOpen, hint = "Drag to select units for the list; click a dot to open its unit." }) {
  const canvas = useRef(null), box = useRef(null), [size, setSize] = useState(0), [drag, setDrag] = useState(null), [near, setNear] = useState(null);
  const margin = { left: 60, right: 12, top: 10, bottom: 38 }, height = 300;
  const axes = useMemo(() => {
    const ends = (values) => { let low = Math.min(0, ...sampled(values, Math.min)), high = Math.max(...sampled(values, Math.max)); if (!(high > low)) high = low + 1; const pad = (high - low) * 0.04; return [low - (low < 0 ? pad : 0), high + pad]; };
    return { x: ends(data.x), y: ends(data.y) };
  }, [data]);
  const px = (v) => margin.left + ((v - axes.x[0]) / (axes.x[1] - axes.x[0])) * (size - margin.left - margin.right);
  const py = (v) => height - margin.bottom - ((v - axes.y[0]) / (axes.y[1] - axes.y[0])) * (height - margin.top - margin.bottom);
  const vx = (p) => axes.x[0] + ((p - margin.left) / (size - margin.left - margin.right)) * (axes.x[1] - axes.x[0]);
  const vy = (p) => axes.y[0] + ((height - margin.bottom - p) / (height - margin.top - margin.bottom)) * (axes.y[1] - axes.y[0]);
  useEffect(() => {
    const measure = () => box.current && setSize(box.current.clientWidth);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const node = canvas.current;
    if (!node || !size) return;
    const scale = window.devicePixelRatio || 1, pen = node.getContext("2d"), style = getComputedStyle(document.documentElement);
    node.width = size * scale; node.height = height * scale;
    pen.scale(scale, scale); pen.clearRect(0, 0, size, height);
    const many = data.x.length, r = many > 20000 ? 1.2 : many > 2000 ? 1.8 : 3.2;
    const inside = (i) => !chosen || (data.x[i] >= chosen.x[0] && data.x[i] <= chosen.x[1] && data.y[i] >= chosen.y[0] && data.y[i] <= chosen.y[1]);
    for (const lit of [false, true]) {
      pen.fillStyle = style.getPropertyValue(lit ? "--value" : "--faint");
      pen.globalAlpha = many > 20000 ? 0.35 : many > 2000 ? 0.5 : 0.75;
      for (let i = 0; i < many; i++) if (inside(i) === lit) { pen.beginPath(); pen.arc(px(data.x[i]), py(data.y[i]), r, 0, 7); pen.fill(); }
    }
  }, [data, size, chosen, axes, document.documentElement.dataset.theme]);
  const at = (event) => { const r = canvas.current.getBoundingClientRect(); return [event.clientX - r.left, event.clientY - r.top]; };
  const nearest = ([x, y]) => {
    let best = -1, least = 144;
    for (let i = 0; i < data.x.length; i++) { const d = (px(data.x[i]) - x) ** 2 + (py(data.y[i]) - y) ** 2; if (d < least) { least = d; best = i; } }
    return best;
  };
  const down = (event) => { if (event.button) return; event.preventDefault(); canvas.current.setPointerCapture(event.pointerId); const p = at(event); setDrag({ from: p, to: p }); };
  const move = (event) => { if (drag) setDrag({ ...drag, to: at(event) }); else { const i = nearest(at(event)); setNear(i < 0 ? null : i); } };
  const up = () => {
    if (!drag) return;
    const [[a, b], [c, d]] = [drag.from, drag.to];
    setDrag(null);
    if (Math.abs(a - c) + Math.abs(b - d) < 6) { const i = nearest(drag.to); if (i >= 0) onOpen(data.place[i]); else onBrush(null); return; }
    onBrush({ x: [vx(Math.min(a, c)), vx(Math.max(a, c))], y: [vy(Math.max(b, d)), vy(Math.min(b, d))] });
  };
  const [xs, xDigits] = ticks(...axes.x), [ys, yDigits] = ticks(...axes.y);
  const shownBox = drag ? { x: Math.min(drag.from[0], drag.to[0]), y: Math.min(drag.from[1], drag.to[1]), w: Math.abs(drag.from[0] - drag.to[0]), h: Math.abs(drag.from[1] - drag.to[1]) }
    : chosen ? boxed(chosen.x.map((v) => px(within(v, axes.x))), chosen.y.map((v) => py(within(v, axes.y)))) : null;
  return html`<div class="scatter" ref=${box}>
    <svg viewBox="0 0 ${size || 1} ${height}" width=${size} height=${height} aria-hidden="true">
      ${xs.map((t) => html`<g><line class=${Math.abs(t) < 1e-9 ? "zero" : "grid"} x1=${px(t)} x2=${px(t)} y1=${margin.top} y2=${height - margin.bottom} /><text x=${px(t)} y=${height - margin.bottom + 14} text-anchor="middle">${number(t, xDigits)}</text></g>`)}
      ${ys.map((t) => html`<g><line class=${Math.abs(t) < 1e-9 ? "zero" : "grid"} x1=${margin.left} x2=${size - margin.right} y1=${py(t)} y2=${py(t)} /><text x=${margin.left - 6} y=${py(t) + 4} text-anchor="end">${number(t, yDigits)}</text></g>`)}
      <text x=${(margin.left + size - margin.right) / 2} y=${height - 6} text-anchor="middle">${inert(data.x_name)}</text>
      <text transform="translate(11 ${(margin.top + height - margin.bottom) / 2}) rotate(-90)" text-anchor="middle">${inert(data.y_name)}</text>
    </svg>
    <canvas ref=${canvas} style=${{ width: `${size}px`, height: `${height}px` }} role="img" aria-label="${count(data.of)} units: ${data.y_name} against ${data.x_name}" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerLeave=${() => setNear(null)}></canvas>
    ${shownBox ? html`<svg class="brush" viewBox="0 0 ${size} ${height}" width=${size} height=${height} aria-hidden="true"><rect x=${shownBox.x} y=${shownBox.y} width=${shownBox.w} height=${shownBox.h} /></svg>` : null}
    <p class="quiet legend">${near !== null && data.place[near] ? `${typeof data.place[near] === "string" ? inert(data.place[near]) : `unit ${data.place[near]}`}: ${number(data.x[near])}, ${number(data.y[near])}; click to open` : `${plural(data.of, "unit")}. ${hint}`}</p>
  </div>`;
}
const within = (v, [low, high]) => Math.min(high, Math.max(low, v));
const boxed = ([left, right], [bottom, top]) => ({ x: left, y: top, w: right - left, h: bottom - top });
// The ends of very many numbers, without passing them all as arguments at once.
function sampled(values, pick) {
  const found = [];
  for (let i = 0; i < values.length; i += 10000) found.push(pick(...values.slice(i, i + 10000)));
  return found.length ? found : [0];
}

function Histogram({ data, threshold }) {
  const width = 360, height = 110, base = height - 16, step = width / data.counts.length;
  const most = Math.log1p(Math.max(...data.counts, 1)), x = (v) => ((v - data.low) / (data.high - data.low || 1)) * width;
  const edge = (i) => data.low + (i * (data.high - data.low)) / data.counts.length;
  return html`<figure><svg class="histogram" viewBox="0 0 ${width} ${height}" role="img" aria-label="Activations in the reference sample, heights logarithmic">
    ${data.counts.map((n, i) => n ? html`<rect class=${edge(i) > threshold ? "bin fires" : "bin"} x=${i * step + 0.5} width=${step - 1} y=${base - Math.max(1, (Math.log1p(n) / most) * (base - 4))} height=${Math.max(1, (Math.log1p(n) / most) * (base - 4))}><title>${precise(edge(i))} to ${precise(edge(i + 1))}: ${count(n)}</title></rect>` : null)}
    ${threshold > data.low && threshold < data.high ? html`<line class="threshold" x1=${x(threshold)} x2=${x(threshold)} y1="0" y2=${base} />` : null}
    <text x="0" y=${height - 3}>${precise(data.low)}</text><text x=${width} y=${height - 3} text-anchor="end">${precise(data.high)}</text>
    ${data.low < 0 && data.high > 0 && x(0) > 40 && x(0) < width - 40 ? html`<text x=${x(0)} y=${height - 3} text-anchor="middle">0</text>` : null}
  </svg><figcaption class="quiet legend">Activations in the reference sample, ${count(data.counts.reduce((a, b) => a + b, 0))} of them; heights are logarithmic. <span class="nowrap"><i class="swatch fires"></i> above the threshold (dashed)</span></figcaption></figure>`;
}
