// The page of a unit: what it responds to, how sure that is, what it does on inputs.
"use strict";

function UnitPage({ study, unit, query }) {
  const page = useAsked(() => source.unit(study, unit), [study, unit]);
  const [view, change] = useView();
  const first = useAsked(() => source.windows(study, unit, false), [study, unit]);
  const full = useAsked(() => (source.live ? source.windows(study, unit, true) : { unit: null }), [study, unit]);
  if (page.error) return html`<main id="main"><${Trouble} error=${page.error} /></main>`;
  if (!page.value) return html`<main id="main"><${Waiting} /></main>`;
  const data = page.value, best = data.best === null ? null : data.explanations[data.best];
  const number_of = query.explanation === undefined ? data.best : Math.min(Number(query.explanation) || 0, data.explanations.length - 1);
  const chosen = number_of === null ? null : data.explanations[number_of];
  const scored = chosen && chosen.scores.length ? chosen : best;
  const current = (asked) => (asked.value && asked.value.unit === data.unit ? asked.value : null);
  const windows = current(full) || current(first);
  return html`<main class="unitpage" id="main">
    <nav class="crumbs" aria-label="Where"><a href=${lists[study]?.hash || address(study)} title="back to the list (u)">← all units</a> <span class="steps"><${InLists} key=${"lists" + data.unit} study=${study} unit=${data.unit} />
      ${[[-1, "k", "previous"], [1, "j", "next"]].map(([by, key, name]) => { const to = beside(study, data, by); return to ? html`<a class="button" href=${unitAddress(study, to, { open: query.open, related: query.related })} title="${name} unit (${key})" rel=${by < 0 ? "prev" : "next"}>${by < 0 ? "← " : ""}${name}${by > 0 ? " →" : ""}</a>` : html`<span class="button off">${name}</span>`; })}
      ${data.opposite ? html`<a class="button" href=${unitAddress(study, data.opposite)}>${data.polarity === "-" ? "positive" : "negative"} polarity</a>` : null}
      <a class="button" href=${address("compare", "", "", { a: study, a_unit: data.unit })}>compare</a></span></nav>
    <header class="unit"><h1><span class="mono">${inert(data.unit)}</span>${data.status === "ok" ? null : html` <span class="chip ${data.status}">${data.status}</span>`} <span class="quiet">unit ${count(data.place)} of ${count(data.of)}</span></h1>
      ${data.reason ? html`<p class="quiet">${inert(data.reason)}</p>` : null}
      ${best ? html`<${Headline} one=${best} />` : html`<p class="headline none">No explanation</p>`}
    </header>
    <div class="columns unit">
      <section class="card where"><div class="head"><h2>Where it fires</h2><${ViewControls} view=${view} change=${change} images=${windows?.inputs === "images"} /></div>
        ${first.error && (full.error || !source.live) ? html`<${Trouble} error=${first.error} />` : !windows ? (data.statistics ? html`<${Waiting} what="Drawing inputs from the recording" />` : html`<p class="quiet">Nothing was recorded of it.</p>`) : html`
          ${full.waiting ? html`<p class="quiet waiting" role="status">Predictions are being made …</p>` : null}<${Windows} data=${windows} view=${view} />`}
      </section>
      <div class="stack">
        ${scored ? html`<${Card} one=${scored} data=${data} study=${study} view=${view} />` : null}
        ${chosen ? html`<${Explanations} data=${data} study=${study} number=${number_of} />` : null}
        ${source.live && data.statistics ? html`<${Live} study=${study} data=${data} view=${view} query=${query} inputs=${windows?.inputs} />` : null}
        ${data.statistics ? html`<${Facts} data=${data} windows=${windows} />` : null}
        ${data.statistics && data.polarity !== "±" && windows?.inputs !== "images" ? html`<${Output} key=${"output" + data.unit} study=${study} data=${data} />` : null}
        ${data.statistics ? html`<${Related} key=${"related" + data.unit} study=${study} data=${data} query=${query} />` : null}
        ${Object.keys(data.people).length ? html`<${People} people=${data.people} />` : null}
        ${data.experiments.length ? html`<section class="card"><h2>Experiments</h2><${ExperimentRows} study=${study} list=${data.experiments} alone=${true} /></section>` : null}
      </div>
    </div>
  </main>`;
}

function Headline({ one }) {
  const [first, ...others] = one.named;
  return html`<div class="said">
    <p class=${first ? "headline" : "headline long"}>${inert(first ? first.said : one.text)}${first && first.share !== null ? html` <${Share} share=${first.share} />` : null}</p>
    ${others.map((mode) => html`<p class="mode">also ${inert(mode.said)} <${Share} share=${mode.share} /></p>`)}
    ${one.peaks.length ? html`<p class="mode">strongest on: ${inert(one.peaks.join(", "))}</p>` : null}
    ${first && one.sentence ? html`<p class="sentence">${inert(one.sentence)}</p>` : null}
    ${one.flags.map((flag) => html`<p class="caution">Caution: ${inert(flag)}.</p>`)}
  </div>`;
}
const Share = ({ share }) => (share === null ? null : html`<span class="share" title="of the unit's activation falls on these tokens"><svg viewBox="0 0 40 6" aria-hidden="true"><rect class="all" width="40" height="6" rx="3" /><rect class="part" width=${40 * Math.min(1, share)} height="6" rx="3" /></svg> ${percent(share)} of the activation</span>`);

// The two-column card: does it predict, and does intervening do what it says.
const MAIN_SCORES = /^(correlation|detection\.auroc|explained-variance\.centred|firing\.auprc)\.random-only$|^peaks?\.|^(headline|modes)\.(share\.random-only|peak-hit)$|^embedding\.|^sigma/;
function Card({ one, data, study, view }) {
  const of = data.statistics ? { study, unit: data.unit, method: one.method, view } : null;
  return html`<section class="card scores"><div class="head"><h2>Card</h2><span class="quiet">${inert(one.method)}, on held-out inputs, beside baselines</span></div>
    <div class=${one.scores.some((s) => s.column === "causal") ? "two" : "two lop"}>${["observational", "causal"].map((column) => {
      const own = one.scores.filter((s) => s.column === column);
      const main = own.filter((s) => (column === "causal" || (MAIN_SCORES.test(s.name) && (one.named.length > 1 || !s.name.startsWith("modes.")))) && s.value !== null);
      const shown = main.length ? main : own.slice(0, 6), rest = own.filter((s) => !shown.includes(s));
      return html`<div><h3>${column} <span class="quiet">${column === "causal" ? "does intervening do what it says?" : "does it predict?"}</span></h3>
        ${own.length ? html`<${Scores} list=${shown} main=${data.main[column]} of=${of} />` : html`<p class="quiet">${data.why_empty[column]}</p>`}
        ${rest.length ? html`<${Fold} name=${`more-${column}`}><summary>${plural(rest.length, "more score")}</summary><${Scores} list=${rest} of=${of} /><//>` : null}</div>`;
    })}</div>
    <${MarkKeys} scores=${one.scores} />
  </section>`;
}

const MarkKeys = ({ scores }) => html`<p class="legend quiet"><span class="dotkey"></span> score with 95 % interval ${[...new Set(scores.flatMap((s) => s.baselines.map((b) => b.baseline)))].map((name) => html`<span class="nowrap"><${Mark} name=${name} /> ${inert(name)}</span> `)}</p>`;

// of: {study, unit, method, view} where the evidence of scores can be asked for.
function Scores({ list, main, of = null }) {
  return html`<ul class="scorelist">${list.map((s) => html`<${ScoreRow} key=${(of ? of.unit + of.method : "") + s.name} s=${s} main=${s.name === main} of=${of} />`)}</ul>`;
}
const told = (v) => (v === null ? MISSING : Array.isArray(v) ? v.map(told).join(", ") : typeof v === "object" ? Object.entries(v).map(([k, one]) => `${k.replaceAll("_", " ")} ${told(one)}`).join(", ") || "none" : typeof v === "number" && !Number.isInteger(v) ? precise(v) : String(v));
function ScoreRow({ s, main, of }) {
  const [, name, setting] = s.name.match(/^(.*?)(?:\.(top-and-random|random-only))?$/);
  const how = Object.entries(s.how);
  return html`<li><${Fold} name=${s.name} class=${main ? "score main" : "score"}><summary>
      <span class="name">${name.replaceAll(".", ".\u200b")}${setting ? html` <span class="quiet">${setting.replaceAll("-", " ")}</span>` : null}</span>
      ${s.value === null ? html`<span class="quiet why">${inert(s.reason)}</span>` : html`<span class="value"><b>${number(s.value)}</b> <span class="quiet" title=${s.low === null ? s.how.no_interval : null}>${s.low === null ? "no interval" : interval(s.low, s.high)}</span></span><${ScoreBar} score=${s} />`}
    </summary>
    ${s.baselines.length ? html`<div class="scroll"><table><thead><tr><th scope="col">baseline</th><th scope="col" class="n">value</th><th scope="col" class="n">margin [95 %]</th><th scope="col" class="n">p</th><th scope="col" class="n">q</th></tr></thead>
      <tbody>${s.baselines.map((b) => html`<tr><td class="nowrap"><${Mark} name=${b.baseline} /> ${inert(b.baseline)}</td><td class="n">${number(b.value)}</td><td class="n">${number(b.margin)} ${interval(b.low, b.high)}</td><td class="n">${chance(b.p)}</td><td class="n">${chance(b.q)}</td></tr>`)}</tbody></table></div>` : null}
    <dl class="how"><div><dt>measure</dt><dd>${inert(s.measure)}${s.value === null ? "" : `, n = ${count(s.n)}`}</dd></div>${how.map(([k, v]) => html`<div><dt>${inert(k.replaceAll("_", " "))}</dt><dd>${k === "shown" ? html`<ul class="texts">${v.map((text) => html`<li>${inert(text)}</li>`)}</ul>` : inert(told(v))}</dd></div>`)}</dl>
    ${of && s.value !== null ? html`<${Evidence} of=${of} s=${s} />` : null}
  <//></li>`;
}

// All explanations of the unit, with where each comes from.
function Explanations({ data, study, number: at }) {
  return html`<section class="card"><h2>Explanations</h2><ol class="history">${data.explanations.map((e, i) => html`<li key=${i} class=${i === data.best ? "best" : ""}><${Fold} name=${`explanation-${i}`} usually=${i === at}><summary>
      <span class="words">${inert(e.named.length ? e.named.map((named) => named.said).join("; also ") : e.text)}</span>
      <span class="quiet">${inert(e.method)}${e.role ? ` (${inert(e.role)})` : ""}${e.rank ? `, candidate ${e.rank + 1}` : ""}${i === data.best ? html` <span class="chip ok">shown</span>` : null}</span></summary>
    ${e.named.length && e.sentence ? html`<p>${inert(e.sentence)}</p>` : null}
    ${e.program ? html`<${Fold} name=${`program-${i}`} class="program"><summary>Program${e.bits === null ? "" : `, ${Math.round(e.bits)} bits`}</summary><pre>${inert(e.program)}</pre><//>` : null}
    <dl class="provenance">
      ${e.model ? html`<div><dt>model</dt><dd>${inert(e.model)}${e.cost ? `, ${inert(e.cost)}` : ""}</dd></div>` : null}
      ${e.prompt ? html`<div><dt>prompt</dt><dd class="mono">${inert(e.prompt)}</dd></div>` : null}
      <div><dt>select split</dt><dd>r ${number(e.select)}</dd></div>
      <div><dt>evidence</dt><dd class="mono">${inert(e.evidence)}</dd></div><div><dt>seed</dt><dd>${e.seed}</dd></div>
      ${Object.keys(e.settings).length ? html`<div><dt>settings</dt><dd>${Object.entries(e.settings).map(([k, v]) => `${inert(k.replaceAll("_", " "))} ${inert(v !== null && typeof v === "object" ? `(${told(v)})` : told(v))}`).join(", ")}</dd></div>` : null}
    </dl>
    ${e.scores.length && i !== data.best ? html`<a href=${unitAddress(study, data.unit, { explanation: i })}>Show its card</a>` : null}
  <//></li>`)}</ol></section>`;
}

function Facts({ data, windows }) {
  const s = data.statistics;
  const lines = [
    ["fires on", s.firing_rate === undefined ? null : `${percent(s.firing_rate)} of random ${firesOn(windows)}`],
    ["threshold", s.firing_threshold === undefined ? null : `${precise(s.firing_threshold)}, ${s.firing_rule}`],
    ["mean, maximum", s.mean === undefined ? null : `${precise(s.mean)}, ${precise(s.maximum)}`],
    ["spread", s.variance === undefined ? null : `standard deviation ${precise(Math.sqrt(Math.max(0, s.variance)))}, skewness ${precise(s.skewness)}, kurtosis ${precise(s.kurtosis)}`],
    ["places seen", count(s.count)],
  ].filter(([, text]) => text);
  return html`<section class="card"><h2>Activations</h2>
    ${windows ? html`<${Histogram} data=${windows.histogram} threshold=${s.firing_threshold} />` : null}
    <dl class="facts">${lines.map(([a, b]) => html`<div><dt>${a}</dt><dd>${b}</dd></div>`)}</dl>
    ${windows && windows.top_tokens.length ? html`<h3>Top tokens <span class="quiet">mean activation, of those read 3 times or more</span></h3><ul class="tokens">${windows.top_tokens.map((t) => html`<li><span class="mono tokname">${piece(t.token)}</span> <span class="bar"><i style=${{ width: `${(100 * t.mean) / windows.top_tokens[0].mean}%` }}></i></span> <span class="n">${precise(t.mean)}</span> <span class="quiet n">× ${count(t.count)}</span></li>`)}</ul>` : null}
  </section>`;
}

function People({ people }) {
  const rows = [];
  const row = (who, did, score, beside) => rows.push(html`<tr><td>${inert(who)}</td><td>${inert(did)}</td><td>${inert(score.name)}</td><td class="n">${score.value === null ? inert(score.reason) : `${number(score.value)} ${interval(score.low, score.high)}`}</td><td class="n">${inert(beside)}</td></tr>`);
  for (const s of people.simulations || []) for (const [i, pair] of s.pairs.entries()) row(s.rater, i ? "" : `rated tokens from the ${s.method} explanation`, pair[0], pair[1] ? `model ${number(pair[1].value)} ${interval(pair[1].low, pair[1].high)}` : "");
  for (const l of people.labels || []) for (const [i, score] of l.scores.entries()) row(l.who, i ? "" : `wrote: ${l.text}`, score, Object.entries(score.baselines).map(([name, v]) => `${name} ${number(v)}`).join(", "));
  for (const r of people.rewrites || []) row(r.by, `rewrote it as: ${r.text}`, r.rewritten, `original ${number(r.original.value)} ${interval(r.original.low, r.original.high)}`);
  return rows.length ? html`<section class="card"><h2>Annotators</h2><div class="scroll"><table><thead><tr><th scope="col">annotator</th><th scope="col">did</th><th scope="col">score</th><th scope="col" class="n">value [95 %]</th><th scope="col" class="n">beside it</th></tr></thead><tbody>${rows}</tbody></table></div></section>` : null;
}
