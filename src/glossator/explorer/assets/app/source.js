// Where data comes from: a server that is asked, or shards beside the page (or in it) that are loaded when they are needed.
"use strict";

// From a server

async function fetched(path, query = {}, body = null) {
  const pairs = Object.entries(query).filter(([, v]) => v !== null && v !== undefined && v !== "");
  const tail = pairs.map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join("&");
  const options = body === null ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(`api/${path}${tail ? "?" + tail : ""}`, options);
  } catch {
    throw new Error("The server does not answer. Is glossator serve still running?");
  }
  const found = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  if (!answer.ok) throw new Error(found.error || `the server answered ${answer.status}`);
  return found;
}

const served = {
  live: true,
  studies: () => { const known = document.getElementById("studies"); return known ? JSON.parse(known.textContent) : fetched("studies"); },
  study: (study) => fetched(`studies/${study}`),
  distribution: (study, score) => fetched(`studies/${study}/distribution`, { score }),
  agreement: (study) => fetched(`studies/${study}/agreement`),
  points: (study, x, y) => fetched(`studies/${study}/points`, { x, y }),
  units: (study, query) => fetched(`studies/${study}/units`, query),
  meaning: async (study, text, query) => {
    const { units, cosine, total } = await fetched(`studies/${study}/meaning`, { ...query, text });
    return { units: units.map((unit, i) => ({ ...unit, cosine: cosine[i] })), total, after: null };
  },
  unit: (study, unit) => fetched(`studies/${study}/unit`, { unit }),
  windows: (study, unit, predict) => fetched(`studies/${study}/windows`, { unit, predict }),
  lists: async (study) => (await fetched(`studies/${study}/lists`)).lists,
  put: async (study, list, unit, inside) => (await fetched(`studies/${study}/listing`, {}, { unit, list, inside })).lists,
  readouts: (study) => fetched(`studies/${study}/readouts`),
  voxels: (study) => fetched(`studies/${study}/voxels`),
  neighbours: (study, unit, by) => fetched(`studies/${study}/neighbours`, { unit, by }),
  output: (study, unit) => fetched(`studies/${study}/output`, { unit }),
  evidence: (study, unit, method, score) => fetched(`studies/${study}/evidence`, { unit, method, score }),
  compare: (query) => fetched("compare", query),
  experiments: (study, query) => fetched(`studies/${study}/experiments`, query),
  experiment: (study, number) => fetched(`studies/${study}/experiment`, { number }),
  attempt: (study, unit, text) => fetched(`studies/${study}/try`, {}, { unit, text }),
  strongest: (study, site, polarity, text, at) => fetched(`studies/${study}/strongest`, {}, { site, polarity, text, at }),
  taskSets: (study) => fetched(`studies/${study}/tasks`),
  taskSet: (study, set) => fetched(`studies/${study}/task`, { set }),
  drawTasks: (study, task, units, seed) => fetched(`studies/${study}/draw`, {}, { task, units: units.trim() || null, seed }),
  sendAnswers: (study, given, replace) => fetched(`studies/${study}/answers`, {}, { ...given, replace }),
  scene: (study, unit, sentence, seed) => fetched(`studies/${study}/scene`, {}, { unit, sentence, seed }),
  steer: (study, given) => fetched(`studies/${study}/steer`, {}, given),
  score: (study, unit, hypothesis, words) => fetched(`studies/${study}/score`, {}, { unit, hypothesis, words }),
};

// From shards: classic scripts that call back, since a page from the disk may not fetch.

const waiting = new Map();
window.glossatorShard = (name, packed) => waiting.get(name)?.resolve(packed);
const shards = new Map();

function shard(name) {
  if (!shards.has(name)) shards.set(name, packedShard(name).then(unpacked));
  return shards.get(name);
}
function packedShard(name) {
  const inside = document.getElementById(`shard-${name}`);
  if (inside) return Promise.resolve(inside.textContent);
  return new Promise((resolve, reject) => {
    waiting.set(name, { resolve });
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.onerror = () => reject(new Error(`data/${name}.js is not beside this page`));
    document.head.append(script);
  });
}
async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

const MOST_LISTED = 200;
const ORDERS = { place: ["place", 1], best: ["score", -1], worst: ["score", 1], causal: ["causal", -1], q: ["q", 1] };
const LISTED = ["unit", "site", "polarity", "status", "reason", "method", "text", "score", "low", "high", "causal", "q", "density"];

// All units of an exported study as rows, made from its columns once somebody lists or searches.
let rowsOnce = null;
function rows() {
  rowsOnce ||= shard("study").then(async (study) => {
    const all = [];
    for (let k = 0; k < study.shards.columns; k++) {
      const columns = await shard(`columns-${k}`);
      columns.unit.forEach((_, i) => {
        const row = { place: columns.first + i };
        for (const name of LISTED) row[name] = columns[name][i];
        row.words = `${row.unit} ${row.text || ""}`.toLowerCase();
        all.push(row);
      });
    }
    return all;
  });
  return rowsOnce;
}
async function listed(name_of, query) {
  const study = await shard("study"), only = query.list ? new Set((await exported.lists(name_of))[query.list] || []) : null;
  const plain = !Object.keys(query).some((name) => !["order", "limit"].includes(name) && query[name]);
  const order = query.order || (study.page.ranked_by && !only ? "best" : "place");
  if (plain && order === (study.page.ranked_by ? "best" : "place") && (query.limit || 50) <= study.first.units.length) return study.first;
  const [by, direction] = ORDERS[order];
  const words = (query.words || "").toLowerCase().split(/\s+/).filter(Boolean);
  const within = ["score", "causal", "q", "density"].map((name) => [name, query[`${name}_from`], query[`${name}_to`]])
    .filter(([, from, to]) => from || to).map(([name, from, to]) => [name, from ? Number(from) : -Infinity, to ? Number(to) : Infinity]);
  const found = (await rows()).filter((row) => row[by] !== null && (!only || only.has(row.unit))
    && ["site", "polarity", "status", "method"].every((name) => !query[name] || row[name] === query[name])
    && within.every(([name, from, to]) => row[name] !== null && row[name] >= from && row[name] <= to)
    && words.every((word) => row.words.includes(word)));
  found.sort((a, b) => direction * (a[by] - b[by]) || a.place - b.place);
  const start = query.after ? found.findIndex((row) => row.place === Number(query.after)) + 1 : 0;
  const units = found.slice(start, start + Math.min(query.limit || 50, MOST_LISTED));
  return { units, total: found.length, after: start + units.length < found.length ? units.at(-1).place : null };
}
async function entry(unit, kind = "units") {
  const study = await shard("study");
  let place = study.places?.[unit];
  if (place === undefined) place = (await rows()).find((row) => row.unit === unit || `${study.page.subject}/${row.unit}` === unit)?.place;
  if (place === undefined) throw new Error(`the study has no unit ${unit}`);
  const number = study.shards.shown ? study.shards.shown[place] : Math.floor((place - 1) / study.shards.units_each);
  if (number === undefined) throw new Error(`${unit} is listed here, but its page is not in this file; glossator serve shows every unit`);
  return (await shard(`${kind}-${number}`))[place];
}

const exported = {
  live: false,
  studies: async () => [(await shard("study")).study],
  study: async () => (await shard("study")).page,
  distribution: async (_, score) => {
    const found = (await shard("study")).distributions[score];
    if (!found) throw new Error(`the distribution of ${score} is not in this file; glossator serve shows it`);
    return found;
  },
  agreement: async () => (await shard("study")).agreement,
  points: async (_, x, y) => {
    const found = (await rows()).filter((row) => row[x] !== null && row[y] !== null), names = (await shard("study")).axes;
    return { x_name: names[x], y_name: names[y], of: found.length, place: found.map((r) => r.place), x: found.map((r) => r[x]), y: found.map((r) => r[y]) };
  },
  units: listed,
  unit: async (_, unit) => (await entry(unit)).page,
  windows: async (_, unit) => {
    const { windows } = await entry(unit);
    if (!windows) throw new Error("no inputs are here: nothing was recorded of the unit, or the study was exported without its recording");
    return windows;
  },
  // A page from the disk keeps lists in this browser.
  lists: async (study) => { try { return JSON.parse(localStorage.getItem(`glossator-lists-${study}`) || "{}"); } catch { return {}; } },
  put: async (study, list, unit, inside) => {
    const lists = await exported.lists(study), others = (lists[list] || []).filter((one) => one !== unit);
    lists[list] = inside ? [...others, unit] : others;
    if (!lists[list].length) delete lists[list];
    try { localStorage.setItem(`glossator-lists-${study}`, JSON.stringify(lists)); } catch { throw new Error("this browser keeps nothing for pages from the disk"); }
    return lists;
  },
  readouts: () => shard("readouts"),
  voxels: () => shard("voxels"),
  neighbours: async (_, unit, by) => {
    const found = (await entry(unit)).neighbours?.[by];
    if (!found) throw new Error("these are not in this file; glossator serve shows them");
    return found;
  },
  output: async (_, unit) => (await entry(unit)).output ?? { raises: [], lowers: [], why: "they are not in this export; glossator serve reads them off the weights" },
  evidence: async (_, unit, method, score) => {
    const kept = (await shard("study")).shards.evidence ? (await entry(unit, "evidence"))?.[method] : null;
    return kept ? kept.some[kept.of[score]] : { what: "", why: "its evidence is not in this file; glossator serve draws it" };
  },
  compare: async (query) => {
    const found = (await shard("study")).comparisons.find((one) => one.a_method === (query.a_method || "") && one.b_method === (query.b_method || ""));
    if (!found) throw new Error("this comparison is not in this file; glossator serve makes any");
    return found.comparison;
  },
  taskSets: async () => (await shard("study")).tasks,
  taskSet: (_, set) => shard(`tasks-${set}`).catch(() => { throw new Error("this task is not in this export"); }),
  experiments: async (_, query) => {
    if (!(await shard("study")).page.experiments) return { experiments: [], total: 0, after: null };
    const all = await shard("experiments"), some = all.experiments.filter((one) => !query.unit || one.unit === query.unit);
    return { experiments: some, total: some.length, after: null };
  },
  experiment: (_, number) => shard(`experiment-${number}`).catch(() => { throw new Error(`experiment ${number} is not in this file; glossator serve shows it`); }),
};

const source = document.documentElement.dataset.source === "server" ? served : exported;
// The names of units at places, for dots that are clicked.
async function unitAt(study, place) {
  if (!source.live) return (await rows())[place - 1].unit;
  return (await source.units(study, { order: "place", after: place > 1 ? place - 1 : null, limit: 1 })).units[0].unit;
}
