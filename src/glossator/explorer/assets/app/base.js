// What all pages share: rendering, numbers, texts that are shown inert, the address.
"use strict";
const { html, render, useState, useEffect, useLayoutEffect, useMemo, useRef } = window.htmPreact;

const MISSING = "–";

function number(value, digits = 2) {
  if (value === null || value === undefined) return MISSING;
  const text = Math.abs(value) >= 1e4 ? value.toPrecision(3) : value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}
const precise = (value) => (value === null || value === undefined ? MISSING : Number(value.toPrecision(3)).toString().replace("-", "−"));
const interval = (low, high, digits = 2) => (low === null || low === undefined ? "" : `[${number(low, digits)},\u00a0${number(high, digits)}]`);
const percent = (share, digits = 2) => (share === null || share === undefined ? MISSING : `${String(Number((100 * share).toPrecision(digits))).replace("-", "−")}\u00a0%`);
const chance = (p) => (p === null || p === undefined ? MISSING : p < 0.001 ? "< 0.001" : number(p, 3));
const count = (n) => (n === null || n === undefined ? MISSING : String(n).replace(/\B(?=(\d{3})+$)/g, ","));
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;

// Corpus text and explanations may hold anything: what has no picture of its own is shown as a sign, so that no text can
// reorder, hide or restyle the page. Text reaches the page as text nodes only, never as HTML.
const SIGNS = { "\n": "↵", "\r": "␍", "\t": "⇥", "\u00a0": "⍽" };
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u00a0]/gu;
const inert = (text) => String(text ?? "").replace(HIDDEN, (c) => SIGNS[c] || `⟨${c.codePointAt(0).toString(16).toUpperCase()}⟩`);
const piece = (text) => inert(text) || "∅";
// As it is read instead of raw: line breaks and tabs break the line, all other signs as before.
const flowing = (text) => String(text).replace(HIDDEN, (c) => (c === "\n" ? "\n" : c === "\t" ? "    " : c === "\r" ? "" : inert(c)));

// The address holds all of the state: #/STUDY/PAGE/REST?name=value; without a name, #//PAGE/REST, it is the only study.
const part = (text) => encodeURIComponent(text).replaceAll("%2F", "/");
function address(study, page = "", rest = "", query = {}) {
  const pairs = Object.entries(query).filter(([name, v]) => v !== null && v !== undefined && (v !== "" || name.endsWith("_method")));
  const tail = pairs.length ? "?" + pairs.map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`).join("&") : "";
  return "#/" + (page ? [study, page, ...(rest ? [rest] : [])] : study ? [study] : []).map(part).join("/") + tail;
}
const unitAddress = (study, unit, query) => address(study, "unit", unit, query);

function located() {
  const decode = (text) => { try { return decodeURIComponent(text); } catch { return text; } };
  if (location.hash.length > 1 && !location.hash.startsWith("#/")) return { study: "", page: "unit", rest: decode(location.hash.slice(1)), query: {} };
  const [path, tail = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [study = "", page = "", ...rest] = path.split("/").map(decode);
  const query = {};
  for (const pair of tail.split("&").filter(Boolean)) {
    const [name, value = ""] = pair.split("=");
    query[decode(name)] = decode(value.replaceAll("+", " "));
  }
  return { study, page, rest: rest.join("/"), query };
}
// Changes some of the query without a new entry in the history, as filters do with every key.
function setQuery(changes) {
  const here = located();
  const to = address(here.study, here.page, here.rest, { ...here.query, ...changes });
  if (framed) location.hash = to;
  else history.replaceState(null, "", to);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
// What is unfolded, or folded where it is not by itself, stands in the address too: ?open=NAME~NAME
const unfolded = () => (located().query.open || "").split("~").filter(Boolean);
function setUnfolded(name, differs) {
  const before = unfolded();
  if (before.includes(name) === differs) return;
  setQuery({ open: (differs ? [...before, name] : before.filter((one) => one !== name)).join("~") || null });
}
// A part of the page that can be folded; name: in the address, usually: whether it is open by itself.
function Fold({ name, usually = false, children, ...rest }) {
  const open = unfolded().includes(name) !== usually;
  return html`<details ...${rest} open=${open} onToggle=${(e) => { if (e.target === e.currentTarget) setUnfolded(name, e.currentTarget.open !== usually); }}>${children}</details>`;
}
// In a notebook the page is the text of a frame, whose relative addresses are those of the page around it.
const framed = location.protocol === "about:";
if (framed) document.addEventListener("click", (e) => {
  const to = e.target.closest?.("a")?.getAttribute("href") || "";
  if (to.startsWith("#") && !e.defaultPrevented) { e.preventDefault(); location.hash = to; }
});
if (document.documentElement.dataset.at && location.hash.length < 2) location.hash = document.documentElement.dataset.at;

// What a promise brings: {value}, {error}, or {waiting} while it is awaited; what it brought before stays until then. It
// is asked for before the page without it is painted.
function useAsked(ask, keys) {
  const [found, setFound] = useState({ waiting: true });
  useLayoutEffect(() => {
    let current = true;
    setFound((before) => (before.waiting ? before : { value: before.value, waiting: true }));
    Promise.resolve().then(ask).then((value) => current && setFound({ value }), (error) => current && setFound({ error }));
    return () => { current = false; };
  }, keys);
  return found;
}
const Trouble = ({ error }) => html`<p class="trouble" role="alert">${inert(error.message || error)}</p>`;
const Waiting = ({ what = "Loading" }) => html`<p class="quiet waiting" role="status">${what} …</p>`;

// Colours and marks of baselines are the same on every page; marks differ in shape as well as in colour.
const MARKS = {
  lookup: (x, y, r) => `M${x - r} ${y - r}H${x + r}V${y + r}H${x - r}Z`,
  "token-list": (x, y, r) => `M${x} ${y - r - 1}L${x + r + 1} ${y + r}H${x - r - 1}Z`,
  mismatched: (x, y, r) => `M${x} ${y - r - 1}L${x + r + 1} ${y}L${x} ${y + r + 1}L${x - r - 1} ${y}Z`,
  "random weights": (x, y, r) => `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`,
  "random-unit": (x, y, r) => `M${x - r - 1} ${y}H${x + r + 1}M${x} ${y - r - 1}V${y + r + 1}`,
  echo: (x, y, r) => `M${x - r - 1} ${y - r}H${x + r + 1}L${x} ${y + r + 1}Z`,
  random_name: (x, y, r) => `M${x - r} ${y - r - 1}V${y + r + 1}M${x + r} ${y - r - 1}V${y + r + 1}`,
  other: (x, y, r) => `M${x - r} ${y}A${r} ${r} 0 1 0 ${x + r} ${y}A${r} ${r} 0 1 0 ${x - r} ${y}`,
};
const known = (name) => (Object.hasOwn(MARKS, name) ? name : "other");
const markOf = (name, x, y, r) => MARKS[known(name)](x, y, r);
const markClass = (name) => `mark mark-${known(name).replace(/[ _]/g, "-")}`;
const Mark = ({ name }) => html`<svg class="sign" viewBox="0 0 12 12" aria-hidden="true"><path class=${markClass(name)} d=${markOf(name, 6, 6, 3.5)} /></svg>`;
