// Voxels: how well each is predicted on held-out runs beside what noise allows, and what explanations are about by group.
"use strict";

function VoxelsPage({ study, query }) {
  const found = useAsked(() => source.voxels(study), [study]);
  if (found.error) return html`<main id="main"><${Trouble} error=${found.error} /></main>`;
  if (!found.value) return html`<main id="main"><${Waiting} /></main>`;
  const { encodings, topics, wrong } = found.value;
  return html`<main id="main" class="voxelspage"><nav class="crumbs" aria-label="Where"><a href=${address(study)} title="back to the study (u)">← ${inert(study)}</a></nav>
    <header class="title"><h1>${encodings.length ? "Voxels" : "Topics"}</h1>${encodings.length ? html`<p class="quiet">Every value is what an encoding model predicts of a voxel, not a measurement.</p>` : null}</header>
    <div class="stack">${encodings.map((one) => html`<${Encoding} key=${one.site} one=${one} study=${study} query=${query} />`)}
      ${wrong ? html`<section class="card"><p class="trouble">${inert(wrong)}</p></section>` : topics ? html`<${TopicShares} found=${topics} study=${study} />`
        : html`<section class="card"><h2>Topics</h2><p class="quiet">Run <code>glossator topics</code> on this study to find what its explanations are about, and whether groups of units differ in that.</p></section>`}</div></main>`;
}

const VOXEL_ORDERS = { r: ["held-out r", (a, b) => (b.r ?? -2) - (a.r ?? -2)], share: ["share of the ceiling", (a, b) => (ofCeiling(b) ?? -9) - (ofCeiling(a) ?? -9)], index: ["number", (a, b) => a.index - b.index] };
const ofCeiling = (v) => (v.r === null || !v.ceiling ? null : v.r / v.ceiling);
const LISTED_VOXELS = 50;

function Encoding({ one, study, query }) {
  const [most, setMost] = useState(LISTED_VOXELS);
  if (one.wrong) return html`<section class="card"><h2 class="mono">${inert(one.site)}</h2><p class="trouble">${inert(one.wrong)}</p></section>`;
  const all = query.all === "1", order = VOXEL_ORDERS[query.order] ? query.order : "r";
  const listed = one.voxels.filter((v) => all || v.predicted).sort(VOXEL_ORDERS[order][1]);
  return html`<section class="card"><div class="head"><h2><span class="mono">${inert(one.site)}</span></h2><span class="quiet">${count(one.predicted)} of ${plural(one.of, "voxel")} are predicted on held-out runs (q ≤ ${one.rate}); the others are not explained${one.of > one.voxels.length ? `. Shown are ${count(one.voxels.length)}: the best predicted ones, and some of the others` : ""}</span></div>
    <div class="columns even"><figure><${Performance} one=${one} study=${study} /></figure>
      <div><${Ranked} one=${one} voxels=${one.voxels} /></div></div>
    <div class="row"><label>Order <select value=${order} onChange=${(e) => setQuery({ order: e.target.value })}>${Object.entries(VOXEL_ORDERS).map(([key, [name]]) => html`<option value=${key}>${name}</option>`)}</select></label>
      <label><input type="checkbox" checked=${all} onChange=${(e) => setQuery({ all: e.target.checked ? "1" : null })} /> also those that are not predicted</label></div>
    <div class="scroll"><table><thead><tr><th scope="col">voxel</th><th scope="col" class="n">held-out r</th><th scope="col" class="n">ceiling</th><th scope="col" class="n">r / ceiling</th><th scope="col" class="n">q</th><th scope="col">explanation</th><th scope="col" class="n">score</th></tr></thead>
      <tbody>${listed.slice(0, most).map((v) => html`<tr class=${v.predicted ? "" : "refused"}><td>${v.unit ? html`<a href=${unitAddress(study, v.unit)}>${inert(v.voxel)}</a>` : inert(v.voxel)}</td><td class="n"><b>${number(v.r)}</b></td><td class="n">${number(v.ceiling)}</td><td class="n">${percent(ofCeiling(v))}</td><td class="n">${chance(v.q)}</td><td>${inert(v.text ?? (v.predicted ? (v.unit ? "no explanation" : "not in the study") : "not predicted"))}</td><td class="n">${number(v.score)}</td></tr>`)}</tbody></table></div>
    ${listed.length > most ? html`<button type="button" class="more" onClick=${() => setMost(most + 200)}>More of ${count(listed.length)} voxels</button>` : listed.length ? null : html`<p class="quiet">No voxel is predicted.</p>`}
    <${Fold} name=${`fitted-${one.site}`}><summary><h3>How it was fitted</h3></summary><dl class="facts">${one.facts.map(([name, text]) => html`<div><dt>${inert(name)}</dt><dd>${inert(text)}</dd></div>`)}</dl><//>
  </section>`;
}

// r against its ceiling, below the line of equality; filled where the voxel is selected. Without repeats there is no ceiling.
function Performance({ one, study }) {
  const width = 420, height = 300, left = 44, right = 10, top = 10, bottom = 36;
  const known = one.voxels.filter((v) => v.r !== null && v.ceiling !== null), rest = one.voxels.filter((v) => v.r !== null).length - known.length;
  if (!known.length) return html`<p class="quiet">No noise ceiling: the held-out runs were not repeated, or agree no more than by chance.</p>`;
  const low = Math.min(0, ...known.map((v) => v.r)), high = Math.max(...known.map((v) => Math.max(v.r, v.ceiling)), 0.1);
  const x = (v) => left + (v / high) * (width - left - right), y = (v) => height - bottom - ((v - low) / (high - low)) * (height - top - bottom);
  const [xt, xd] = ticks(0, high, 5), [yt, yd] = ticks(low, high, 5), open = (v) => { if (v.unit) location.hash = unitAddress(study, v.unit); };
  return html`<svg class="performance" viewBox="0 0 ${width} ${height}" role="img" aria-label="held-out r against the noise ceiling of ${known.length} voxels">
    ${yt.map((t) => html`<g><line class=${t === 0 ? "zero" : "grid"} x1=${left} x2=${width - right} y1=${y(t)} y2=${y(t)} /><text x=${left - 5} y=${y(t) + 4} text-anchor="end">${number(t, yd)}</text></g>`)}
    ${xt.map((t) => html`<text x=${x(t)} y=${height - bottom + 14} text-anchor="middle">${number(t, xd)}</text>`)}
    <line class="curve level" x1=${x(0)} y1=${y(0)} x2=${x(high)} y2=${y(high)} />
    ${known.map((v) => html`<circle class=${v.predicted ? "predicted" : "refused"} cx=${x(v.ceiling)} cy=${y(v.r)} r="3.2" onClick=${() => open(v)}><title>${inert(v.voxel)}: r ${number(v.r)}, ceiling ${number(v.ceiling)}${v.text ? `, ${inert(v.text)}` : ""}</title></circle>`)}
    <text x=${(left + width - right) / 2} y=${height - 4} text-anchor="middle">noise ceiling</text><text transform="translate(10 ${(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">held-out r</text></svg>
    <p class="quiet legend">Filled: selected at the false-discovery rate. Dashed: r as high as noise allows.${rest ? ` ${plural(rest, "voxel")} without a ceiling.` : ""}</p>`;
}

// All voxels from the best predicted to the worst.
function Ranked({ one, voxels }) {
  const known = voxels.filter((v) => v.r !== null).sort((a, b) => b.r - a.r);
  const at = known.map((_, i) => i + 1), selected = known.map((v) => (v.predicted ? v.r : null));
  return html`<${Curves} series=${[{ name: "all voxels", x: at, y: known.map((v) => v.r), kind: "control" }, { name: "selected", x: at, y: selected, kind: "chosen" }]} levels=${[{ name: "0", y: 0, kind: "" }]} whole=${true} xName=${one.of > voxels.length ? "shown voxels, best first" : "voxels, best first"} yName="held-out r" />
    <${Keys} list=${[["chosen", "selected"], ["control", "not selected"]]} />`;
}

const TOPIC_GROUPS = 8;
function TopicShares({ found, study }) {
  const { topics, groups, p } = found.topics, shown = groups.slice(0, TOPIC_GROUPS), tested = groups.length > 1;
  const most = Math.min(1, Math.max(0.1, ...topics.flatMap((t) => t.shares.slice(0, TOPIC_GROUPS).map(([mean, , high]) => high ?? mean))));
  const x = (v) => `${(100 * Math.min(v, most)) / most}%`;
  return html`<section class="card topics"><div class="head"><h2>Topics of explanations${tested ? ` by ${inert(found.by)}` : ""}</h2><span class="quiet">${plural(found.units, "unit")}${found.studies.length > 1 ? ` of ${found.studies.map(inert).join(", ")}` : ""}${p === null ? "" : html`; all topics together: p ${number(p, 4)}`}</span></div>
    <p class="quiet">Share of a topic: the mean over a group's units, with its 95 % interval. p from permuting groups over units; q: false-discovery rate over topics. Topics were found without a look at the groups.</p>
    ${tested ? html`<p class="legend keys">${shown.map(([name, units], i) => html`<span class="nowrap"><i class="hue hue-${i}"></i> ${inert(name)} <span class="quiet">(${count(units)})</span></span> `)}${groups.length > TOPIC_GROUPS ? html`<span class="quiet">and ${groups.length - TOPIC_GROUPS} more in the table</span>` : null}</p>` : null}
    <ol class="topiclist">${topics.map((t) => html`<li><div class="about"><b>${inert(t.words.join(", "))}</b> <span class="quiet">${percent(t.share)}${t.q === null ? "" : html`, p ${number(t.p, 4)}, <span class=${t.q <= 0.05 ? "sure" : ""}>q ${number(t.q, 3)}</span>`}</span><br /><span class="quiet example">“${inert(t.example)}”</span></div>
      <div class="groups">${t.shares.slice(0, TOPIC_GROUPS).map(([mean, low, high], i) => html`<div class="groupshare" role="img" aria-label="${groups[i][0]}: ${percent(mean)} ${low === null ? "" : `[${percent(low)}, ${percent(high)}]`}"><span class="bar"><i class="hue hue-${i}" style=${{ width: x(mean) }}></i>${low === null ? null : html`<i class="range" style=${{ left: x(low), width: `calc(${x(high)} - ${x(low)})` }}></i>`}</span><span class="n">${percent(mean)}</span></div>`)}</div></li>`)}</ol>
    ${tested ? html`<${Fold} name="topics-table"><summary>As a table</summary><div class="scroll"><table><thead><tr><th scope="col">topic</th><th scope="col" class="n">p</th><th scope="col" class="n">q</th>${groups.map(([name]) => html`<th scope="col" class="n">${inert(name)}</th>`)}</tr></thead><tbody>${topics.map((t) => html`<tr><td>${inert(t.words.join(", "))}</td><td class="n">${number(t.p, 4)}</td><td class="n">${number(t.q, 3)}</td>${t.shares.map(([mean, low, high]) => html`<td class="n">${percent(mean)} <span class="quiet">${low === null ? "" : `[${percent(low)}, ${percent(high)}]`}</span></td>`)}</tr>`)}</tbody></table></div><//>` : null}
  </section>`;
}
