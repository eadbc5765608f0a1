// Experiments: the list of a study's, and one with its question, hypotheses, predictions, verdicts, steps and answer.
"use strict";

const experimentAddress = (study, number) => address(study, "experiment", String(number));
const VERDICTS = { confirmed: "ok", refuted: "failed", inconclusive: "abstained", untested: "", "control confirmed": "failed" };
const OF_CONTROL = { confirmed: "failed", refuted: "ok", inconclusive: "abstained" };
const Verdict = ({ h }) => html`<span class="chip ${(h.control ? OF_CONTROL : VERDICTS)[h.verdict] || ""}">${inert(h.outcome || h.verdict || "not yet tested")}</span>`;
const spentInWords = (spent) => Object.entries(spent).filter(([, n]) => n).map(([name, n]) => `${name === "money" ? `$${precise(n)}` : count(n)}${name === "money" ? "" : ` ${name}`}`).join(", ");

function ExperimentsPage({ study, query }) {
  const [more, setMore] = useState([]);
  const found = useAsked(() => source.experiments(study, query.unit ? { unit: query.unit } : {}), [study, query.unit]);
  useEffect(() => setMore([]), [study, query.unit]);
  const all = found.value ? [...found.value.experiments, ...more.flatMap((part) => part.experiments)] : [];
  const after = more.length ? more.at(-1).after : found.value?.after;
  return html`<main id="main" class="experiments"><nav class="crumbs" aria-label="Where"><a href=${address(study)} title="back to the study (u)">← the study</a></nav>
    <header class="title"><h1>Experiments ${query.unit ? html`<span class="quiet">on <a class="mono" href=${unitAddress(study, query.unit)}>${inert(query.unit)}</a>; <a href=${address(study, "experiments")}>show all</a></span>` : null}</h1></header>
    <section class="card">${found.error ? html`<${Trouble} error=${found.error} />` : !found.value ? html`<${Waiting} />` : !all.length ? html`<p class="quiet">None. <code>glossator agent --unit UNIT</code> makes one.</p>` : html`<${ExperimentRows} study=${study} list=${all} />
      ${after ? html`<button type="button" class="more" onClick=${async () => setMore([...more, await source.experiments(study, { unit: query.unit, after })])}>More experiments</button>` : null}`}</section>
  </main>`;
}

function ExperimentRows({ study, list, alone }) {
  return html`<ol class="units experimentlist">${list.map((e) => html`<li key=${e.number}><a class="unit" href=${experimentAddress(study, e.number)}>
    <span class="id">${e.number}${alone || !e.unit ? "" : `, ${inert(e.unit)}`}${e.policy ? `, ${inert(e.policy)}` : `, ${inert(e.kind)}`}</span>
    <span class="score">${Object.entries(e.verdicts).map(([verdict, n]) => html`<span class="chip ${VERDICTS[verdict] || ""}">${n} ${inert(verdict)}</span> `)}${e.ended ? null : html`<span class="chip">not ended</span>`}</span>
    <span class="words">${e.headline ? html`<b>${inert(e.headline)}</b>` : e.ended && e.policy ? html`<b>No claim</b>${e.reason ? `: ${inert(e.reason)}` : ""}` : ""}${e.headline || e.ended ? html` <span class="quiet">${inert(e.asked)}</span>` : inert(e.asked)}</span>
  </a></li>`)}</ol>`;
}

function ExperimentPage({ study, number: asked }) {
  const found = useAsked(() => source.experiment(study, asked), [study, asked]);
  if (found.error) return html`<main id="main"><${Trouble} error=${found.error} /></main>`;
  if (!found.value) return html`<main id="main"><${Waiting} what="Reading the experiment" /></main>`;
  const data = found.value;
  return html`<main id="main" class="experiment"><nav class="crumbs" aria-label="Where"><a href=${address(study, "experiments")} title="back to the list (u)">← all experiments</a>
    ${data.unit ? html`<span class="steps"><a class="button" href=${unitAddress(study, data.unit)}>the unit ${inert(data.unit)}</a></span>` : null}</nav><${Experiment} data=${data} study=${study} /></main>`;
}

// A file that holds one experiment and nothing else.
function ExperimentAlone() {
  const found = useAsked(() => shard("experiment"), []);
  return html`<main id="main" class="experiment">${found.error ? html`<${Trouble} error=${found.error} />` : found.value ? html`<${Experiment} data=${found.value} study=${null} />` : html`<${Waiting} />`}</main>`;
}

function Experiment({ data }) {
  if (data.kind !== "agent") return html`<header class="title"><h1>${inert(data.kind)} ${data.number} <span class="quiet mono">${inert(data.unit)}</span></h1></header><section class="card"><${Plain} pairs=${[["request", data.request], ["prediction, registered before the result", data.prediction], ["result", data.result]]} /></section>`;
  const largest = Math.max(1e-12, ...Object.values(data.inputs).map((one) => Math.abs(one.value || 0)));
  const known = { data, largest };
  return html`<header class="unit"><h1><span class="mono">${inert(data.unit)}</span> <span class="quiet">${data.number === null ? "" : `experiment ${data.number}, `}${inert(data.policy)}, seed ${data.seed}</span></h1>
      <p class=${data.headline ? "headline" : "headline none"}>${data.headline ? inert(data.headline) : data.ended ? "No claim" : "Not ended"}</p>
      <p class="sentence">${inert(data.question)}</p></header>
    <div class="columns unit">
      <section class="card"><h2>Hypotheses</h2>
        <p class="quiet">Each was registered before its test, and each prediction before the unit was run on the pair. A pair is an input with what the hypothesis names and a matched one without${data.level === null ? "" : `; the unit counts as active from ${precise(data.level)} on`}. The e-value is the evidence that more than half of such pairs go as predicted: if that were false, a value of ${data.needed} or more would be reached in at most 5 % of tests, whenever one stops.</p>
        ${data.hypotheses.length ? data.hypotheses.map((h, i) => html`<${Hypothesis} key=${h.id} h=${h} known=${known} first=${i === data.hypotheses.findIndex((one) => one.tests.length)} />`) : html`<p class="quiet">None was registered.</p>`}
      </section>
      <div class="stack">
        <section class="card"><h2>Answer</h2>
          ${data.reason ? html`<p>${inert(data.reason)}</p>` : null}
          ${data.program ? html`<h3>Program</h3><pre>${inert(data.program)}</pre>` : null}
          ${data.limits.length ? html`<h3>Limits</h3><ul class="limits">${data.limits.map((limit) => html`<li>${inert(limit)}</li>`)}</ul>` : null}
          <dl class="facts"><div><dt>policy</dt><dd>${inert(data.policy)}, seed ${data.seed}</dd></div>
            ${Object.keys(data.budget).length ? html`<div><dt>budget</dt><dd>${spentInWords(data.budget)}</dd></div>` : null}
            <div><dt>spent</dt><dd>${spentInWords(data.spent) || MISSING}</dd></div></dl>
          ${data.why_short ? html`<p class="quiet">Only what the study's table holds is shown: ${inert(data.why_short)}.</p>` : null}
        </section>
        ${data.rounds.map((round, i) => html`<${Fold} name=${`round-${i}`} class="card rounds" usually=${data.rounds.length < 3}><summary><h2>${inert(round.name)} <span class="quiet">${plural(round.steps.length, "step")}</span></h2></summary>
          ${round.steps.map((step) => html`<${Step} key=${step.step} step=${step} known=${known} />`)}<//>`)}
      </div>
    </div>`;
}

// first: its pairs are seen at once.
function Hypothesis({ h, known, first }) {
  const pairs = h.tests.reduce((n, test) => n + test.pairs.length, 0);
  return html`<article class="hypothesis" aria-label=${`${h.id} ${h.statement}`}><p class="said"><${Verdict} h=${h} /> ${h.control ? html`<span class="chip">negative control, expected to fail</span> ` : ""}<b>${inert(h.statement)}</b>${h.direction === "suppresses" ? html` <span class="chip">suppresses</span>` : ""}</p>
    <div class="evidenced"><${EValue} h=${h} needed=${known.data.needed} />
      <p class="quiet">${h.trials ? `${h.successes} of ${h.trials} pairs as predicted${h.effect === null ? "" : `; mean difference ${precise(h.effect)}`}; e-value for ${precise(h.e_above)}, against ${precise(h.e_below)}${h.at_least === null || h.verdict !== "confirmed" ? "" : `. At least ${Math.round(100 * h.at_least)} % of such pairs go as predicted (95 % confidence)`}` : "no pair was tested"}</p></div>
    ${h.program ? html`<${Fold} name=${`program-${h.id}`} class="program"><summary>Program</summary><pre>${inert(h.program)}</pre><//>` : null}
    ${pairs ? html`<${Fold} name=${`pairs-${h.id}`} usually=${first}><summary>${plural(pairs, "pair")}</summary>${h.tests.map((test) => html`<section class="test"><p class="quiet">Predicted in step ${test.registered}: ${inert(test.predicted)}.${test.done === null ? " The unit was not run on them." : ` Run in step ${test.done}; then ${test.successes} of ${test.trials} so far, e-value ${precise(test.e_above)}.`}</p>
      ${test.pairs.map((pair, i) => html`<div class="pair ${test.went[i] === false ? "missed" : ""}"><span class="went" title=${test.went[i] === null ? "no response" : test.went[i] ? "went as predicted" : "did not go as predicted"}>${test.went[i] === null ? MISSING : test.went[i] ? "✓" : "✗"}<span class="unseen">${test.went[i] ? " as predicted" : " not as predicted"}</span></span>
        <${Given} name=${pair[0]} known=${known} label="with" /><${Given} name=${pair[1]} known=${known} label="without" /></div>`)}</section>`)}<//>` : null}
  </article>`;
}

// Evidence for (to the right) or against (to the left) on a logarithmic scale, with the line at which it suffices.
function EValue({ h, needed }) {
  const width = 200, most = 4, x = (v) => width / 2 + (Math.max(-most, Math.min(most, v)) / most) * (width / 2 - 6);
  if (!h.trials) return null;
  const value = h.e_above >= h.e_below ? Math.log10(Math.max(h.e_above, 1)) : -Math.log10(Math.max(h.e_below, 1)), line = Math.log10(needed);
  return html`<svg class="evalue" viewBox="0 0 ${width} 16" role="img" aria-label=${`evidence for ${precise(h.e_above)}, against ${precise(h.e_below)}; ${needed} suffices`}>
    <line class="axis" x1="4" x2=${width - 4} y1="8" y2="8" /><line class="zero" x1=${x(0)} x2=${x(0)} y1="2" y2="14" />
    <line class="threshold" x1=${x(line)} x2=${x(line)} y1="1" y2="15" /><line class="threshold" x1=${x(-line)} x2=${x(-line)} y1="1" y2="15" />
    <rect class=${value < 0 ? "against" : "for"} x=${Math.min(x(0), x(value))} width=${Math.max(1.5, Math.abs(x(value) - x(0)))} y="5" height="6" /></svg>`;
}

// One input with the unit's response: a picture with the cells above the level, or a text with its strongest token marked.
function Given({ name, known, label }) {
  const one = known.data.inputs[name] || {}, value = one.value ?? null, level = known.data.level;
  const told = `${value === null ? "not run" : `response ${precise(value)}${one.percentile === null || one.percentile === undefined ? "" : `, above ${precise(one.percentile)} % of ordinary ones`}`}`;
  return html`<figure class="given">${one.picture ? html`<div class="image" tabindex="0" role="img" aria-label=${`${label ? `${label}: ` : ""}${inert(one.about || name)}; ${told}`} data-tip=${`${inert(one.about || name)}\n${told}`}><img src=${one.picture} alt="" />${one.cells ? html`<div class="cells" style=${{ gridTemplate: `repeat(${one.cells.length}, 1fr) / repeat(${one.cells[0].length}, 1fr)` }}>${one.cells.flatMap((row) => [...row].map((cell) => html`<span class=${cell === "1" ? "above" : ""}></span>`))}</div>` : null}</div>` : null}
    <figcaption><span class="response"><i style=${{ width: `${(100 * Math.max(0, value || 0)) / known.largest}%` }} class=${label === "without" ? "other" : ""}></i>${level === null ? null : html`<u style=${{ left: `${(100 * Math.max(0, level)) / known.largest}%` }}></u>`}</span>
      <b>${value === null ? MISSING : precise(value)}</b> <span class="quiet">${label ? `${label}: ` : ""}${one.text !== null && one.text !== undefined ? html`<${MarkedText} text=${one.text} />` : inert(one.about || name)}</span></figcaption></figure>`;
}
function MarkedText({ text }) {
  const [, before, peak, after] = text.match(/^([^]*?)>>([^]*?)<<([^]*)$/) || [null, text, "", ""];
  return html`<span class="text">${inert(before)}${peak ? html`<span class="tok peak" role="mark" style=${{ "--t": 0.7 }}>${inert(peak)}</span>` : ""}${inert(after)}</span>`;
}

const DONE = {
  dataset_exemplars: "the strongest recorded inputs", ordinary_inputs: "random recorded inputs", search_corpus: "recorded inputs with a text", call_unit: "the unit is run",
  generate_text: "texts are written", edit_text: "texts are edited", text2image: "pictures are drawn", edit_images: "pictures are edited", describe_images: "pictures are described",
  summarize_images: "what pictures share", hypothesis: "a hypothesis is registered", prediction: "a prediction is registered", test: "the prediction is tested", log: "log", ask: "asked for code", code: "code is run", propose: "proposals",
};
function Step({ step, known }) {
  const plain = ["hypothesis", "prediction", "test", "log"].includes(step.kind), shown = step.pairs.length ? step.pairs.flat() : step.inputs;
  const title = html`<span class="n">Step ${step.step}:</span> ${DONE[step.kind] || inert(step.kind)}${shown.length && !step.pairs.length ? html` <span class="quiet">(${shown.length})</span>` : ""}`;
  const inside = html`${step.kind === "ask" || step.kind === "code" ? html`<pre>${flowing(step.text)}</pre>` : null}${step.reply !== null ? html`<pre>${flowing(step.reply)}</pre>` : null}${step.error ? html`<p class="trouble">${inert(step.error)}</p>` : null}
    ${step.pairs.map((pair) => html`<div class="pair"><span class="went" aria-hidden="true">→</span><${Given} name=${pair[0]} known=${known} label="before" /><${Given} name=${pair[1]} known=${known} label="after" /></div>`)}
    ${step.pairs.length || !shown.length ? null : html`<div class="givens">${shown.map((name) => html`<${Given} key=${name} name=${name} known=${known} />`)}</div>`}`;
  const words = step.text && !["ask", "code"].includes(step.kind) ? html` <span class=${step.kind === "log" ? "logged" : "quiet"}>${flowing(step.text)}</span>` : null;
  if (plain && (step.kind !== "log" || !shown.length)) return html`<p class="step">${title}${words ? ": " : ""}${words}</p>`;
  return html`<${Fold} name=${`step-${step.step}`} class="step" usually=${step.kind === "log" || (step.kind === "dataset_exemplars" && step.step < 3)}><summary>${title}${words ? ":" : ""}${words}</summary>${inside}<//>`;
}

const Plain = ({ pairs }) => html`<dl class="provenance">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd><pre>${value === null || value === undefined ? "none" : flowing(JSON.stringify(value, null, 1))}</pre></dd></div>`)}</dl>`;
