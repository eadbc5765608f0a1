// Run in a page by `test_explorer_browser.py`: what WCAG AA asks that a script can find out.

// Texts whose contrast with what is behind them is below 4.5 (3 for large ones), and fields whose border has less than 3.
window.lowContrast = () => {
  const parse = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = (color) => color.reduce((sum, v, i) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][i], 0);
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * (top[3] ?? 1) + below[i] * (1 - (top[3] ?? 1)));
  const contrast = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  const ground = (node) => {
    const layers = [];
    for (let n = node; n; n = n.parentElement) {
      const color = parse(getComputedStyle(n).backgroundColor);
      if (color.length && color[3] !== 0) layers.push(color);
      if (color.length && (color[3] ?? 1) === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const left_out = "option, button:disabled, .skip";
  const found = new Set();
  const walk = document.createTreeWalker(document.getElementById("app"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), node = walk.currentNode.parentElement;
    if (!text || !node.getClientRects().length || node.closest(left_out)) continue;
    const style = getComputedStyle(node), below = ground(node);
    const ratio = contrast(over(parse(node.closest("svg") ? style.fill : style.color), below), below);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) found.add(`${node.className || node.tagName} ${ratio.toFixed(2)}: ${text.slice(0, 30)}`);
  }
  for (const field of document.querySelectorAll("#app :is(input:not([type=checkbox]), select, textarea)")) {
    const style = getComputedStyle(field), below = ground(field.parentElement);
    if (!field.getClientRects().length || style.opacity === "0") continue;
    const ratio = contrast(over(parse(style.borderTopColor), below), below);
    if (ratio < 3) found.add(`border of ${field.id || field.getAttribute("aria-label") || field.tagName} ${ratio.toFixed(2)}`);
  }
  return [...found];
};

// Shapes of plots that nobody can see: neither filled nor drawn with a line, as where a colour has no value.
window.invisible = () => [...document.querySelectorAll("#app svg :is(path, rect, circle, line, polyline)")]
  .filter((n) => { const s = getComputedStyle(n), none = (paint) => paint === "none" || /^rgba.*, 0\)$/.test(paint); return none(s.stroke) && (none(s.fill) || n.tagName === "line"); })
  .map((n) => n.outerHTML.slice(0, 120));

// Controls and pictures without a name that a screen reader could say.
window.nameless = () => [...document.querySelectorAll("input, select, textarea, button, svg[role=img], canvas")]
  .filter((n) => !(n.getAttribute("aria-label") || n.title || n.textContent.trim() || n.labels?.length))
  .map((n) => n.outerHTML.slice(0, 120));
