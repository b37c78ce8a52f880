// What pages of the console do beyond links and forms: the theme, keys, dialogs,
// the choice of jobs, charts, and whether the server is there. All of it works on
// what the server has rendered; without it, pages do, too.
"use strict";
(() => {
  const $ = (selector, root) => (root || document).querySelector(selector);
  const all = (selector, root) => [...(root || document).querySelectorAll(selector)];
  const typing = (e) => e.matches && e.matches("input:not([type=checkbox]),textarea,select,[contenteditable]");

  // Light or dark.
  const theme = $("#theme");
  if (theme) theme.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = "spoked_theme=" + root.dataset.theme + ";path=/;max-age=31536000;samesite=strict";
    drawAll();
  });

  // Dialogs.
  const dialog = $("#dialog"), help = $("#help");
  const openHelp = () => help && help.showModal();
  if ($("#keys")) $("#keys").addEventListener("click", openHelp);
  document.addEventListener("htmx:after:swap", (e) => {
    if (dialog && dialog.firstElementChild && !dialog.open && e.detail.ctx && e.detail.ctx.target === dialog) {
      dialog.showModal();
      const first = $(".fields input:not([type=checkbox])", dialog) || $(".main", dialog) || $("[data-close]", dialog);
      if (first) { first.focus(); if (first.select && first.type !== "checkbox") first.select(); }
      sum();
    }
    choose();
  });
  if (dialog) {
    dialog.addEventListener("click", (e) => {
      if (e.target === dialog || e.target.closest("[data-close]")) { e.preventDefault(); dialog.close(); }
    });
    dialog.addEventListener("close", () => dialog.replaceChildren());
    dialog.addEventListener("change", sum);
    dialog.addEventListener("submit", (e) => {
      const b = $(".main", e.target);
      if (b) { b.disabled = true; b.textContent = "Working…"; }
    });
  }
  function sum() {
    const b = dialog && $("[data-sum]", dialog);
    if (!b) return;
    const n = all("[data-count]:checked", dialog).reduce((s, x) => s + Number(x.dataset.count), 0);
    b.disabled = n === 0;
    b.textContent = b.dataset.sum + " " + n.toLocaleString("en-US") + (n === 1 ? " job" : " jobs");
  }

  // Which jobs are chosen.
  function choose() {
    const form = $("#browse");
    if (!form) return;
    const every = $("#all", form) && $("#all", form).checked;
    const picked = window.spokedRows ? window.spokedRows.picked() : all("[name=id]:checked", form).length;
    for (const box of all("[name=id]", form)) {
      box.disabled = every;
    }
    for (const b of all("[data-needs-chosen]", form)) b.disabled = !every && picked === 0;
    const said = $("#chosen-count");
    if (said) said.textContent = every ? "" : picked ? picked.toLocaleString("en-US") + " chosen" : "";
  }
  document.addEventListener("change", (e) => { if (e.target.closest("#browse")) choose(); });
  document.addEventListener("spoked:rows", choose);

  // Keys.
  let went = -Infinity;
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (typing(e.target)) { if (e.key === "Escape") { e.preventDefault(); e.target.blur(); } return; }
    if (e.timeStamp - went < 1200) {
      went = -Infinity;
      const link = $('.top [data-key="' + CSS.escape(e.key) + '"]');
      if (link) { e.preventDefault(); link.click(); return; }
    }
    switch (e.key) {
      case "g": went = e.timeStamp; break;
      case "/": {
        const field = $("main [data-filter]") || $(".find input");
        if (field) { e.preventDefault(); field.focus(); field.select(); }
        break;
      }
      case "?": openHelp(); break;
      case "j": case "k": step(e.key === "j" ? 1 : -1); break;
      case "x": {
        const row = document.activeElement.closest("tr"), box = row && $("[name=id]", row);
        if (box && !box.disabled) box.click();
      }
    }
  });
  function step(by) {
    const rows = all("table.jobs tbody.page tr, .rowlist tbody tr, .trouble tbody tr");
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement.closest("tr"));
    const row = rows[Math.max(0, Math.min(rows.length - 1, at + by))];
    const link = $("a", row);
    if (link) { link.focus(); row.scrollIntoView({ block: "nearest" }); }
  }

  // Whether the server is there.
  const link = $("#link");
  const say = (text) => { if (link) { link.hidden = !text; link.textContent = text; } };
  document.addEventListener("htmx:sse:error", () => say("No connection: trying again"));
  document.addEventListener("htmx:sse:after:connection", () => say(""));
  document.addEventListener("htmx:sse:before:connection", (e) => {
    if (e.detail.connection.attempt > 1) say("No connection: trying again");
  });
  document.addEventListener("htmx:sse:after:message", () => { say(""); newest(); tabs(); });
  document.addEventListener("htmx:error", () => {
    if (!$("#live")) say("No connection");
    else say("No connection: trying again");
  });
  // A stream that could not even begin is begun again.
  setInterval(() => {
    const live = $("#live");
    if (live && !document.hidden && !(live._htmx && live._htmx.sse) && link && !link.hidden) {
      htmx.ajax("GET", live.getAttribute("hx-sse:connect"), { source: live, swap: "innerMorph", target: live }).catch(() => {});
    }
  }, 3000);

  // How many jobs there are of each state.
  function tabs() {
    const counts = $("#counts");
    if (counts) counts.dataset.counts.trim().split(" ").forEach((n, i) => {
      const b = all(".tabs b")[i];
      if (b && b.textContent !== n) b.textContent = n;
    });
  }

  // Charts. The points of a chart are in columns: instants, puts, reserves,
  // deletes, timeouts, ready, delayed, reserved, buried, waiting.
  const kinds = {
    throughput: [[1, "put", "--ready"], [2, "reserved", "--reserved"], [3, "deleted", "--good"], [4, "timed out", "--buried"]],
    backlog: [[5, "ready", "--ready"], [6, "delayed", "--delayed"], [7, "reserved", "--reserved"], [8, "buried", "--buried"]],
  };
  const seconds = { "10m": 600, "1h": 3600, "6h": 21600, "24h": 86400 };
  const box = $("#charts");
  let points = null, plots = [], asked = 0;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
  const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

  function dataOf(kind) { return [points[0], ...kinds[kind].map((s) => points[s[0]])]; }
  function range() {
    const end = points[0].length ? points[0][points[0].length - 1] : Date.now() / 1000;
    const first = points[0].length ? points[0][0] : end;
    return [Math.max(end - (seconds[box.dataset.span] || 600), Math.min(first, end - 60)), end];
  }
  function draw(figure) {
    const kind = figure.dataset.chart, into = $(".plot", figure);
    into.replaceChildren();
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const plot = new uPlot({
      width: Math.max(260, into.clientWidth), height: 200, padding: [null, 26, null, null],
      scales: { x: { time: true, range: () => range() }, y: { range: (u, lo, hi) => [0, Math.max(4, hi * 1.08)] } },
      axes: [{ ...axis, size: 26, space: 70, values: (u, at) => at.map(label) }, { ...axis, size: 52, values: (u, v) => v.map((x) => compact.format(x)) }],
      series: [{ label: "at", value: (u, v) => label(v == null ? lastOf(points[0]) : v, true) },
        ...kinds[kind].map((s) => ({ label: s[1], stroke: color(s[2]), width: 1.6, points: { show: false }, value: (u, v) => { const x = v == null ? lastOf(points[s[0]]) : v; return x == null ? "–" : whole.format(x); } }))],
      cursor: { points: { size: 6 }, drag: { x: false, y: false }, sync: { key: "spoked" } },
      legend: { live: true },
    }, dataOf(kind), into);
    return plot;
  }
  const lastOf = (column) => column[column.length - 1];
  function label(at, fine) {
    if (at == null) return "–";
    const d = new Date(at * 1000), two = (n) => String(n).padStart(2, "0");
    const s = two(d.getHours()) + ":" + two(d.getMinutes());
    return fine || d.getSeconds() ? s + ":" + two(d.getSeconds()) : s;
  }
  function drawAll() {
    if (!box || !points || !window.uPlot) return;
    for (const p of plots) p.destroy();
    plots = all("figure[data-chart]", box).map(draw);
  }
  async function fetchPoints() {
    asked = Date.now();
    const q = new URLSearchParams({ span: box.dataset.span });
    if (box.dataset.tube) q.set("tube", box.dataset.tube);
    try {
      const r = await fetch("/points?" + q, { headers: { Accept: "application/json" } });
      if (!r.ok) return;
      const fresh = await r.json(), first = !points;
      points = fresh;
      if (first) drawAll(); else for (const p of plots) p.setData(dataOf(kindOf(p)));
    } catch { /* the stream says that there is no connection */ }
  }
  const kindOf = (p) => p.root.closest("figure").dataset.chart;
  function newest() {
    const at = $("#point");
    if (!box || !points || !at || !at.dataset.newest) return;
    $("#no-history").hidden = true;
    const p = JSON.parse(at.dataset.newest);
    if (!p[0].length) return;
    const t = p[0][0], last = points[0].length ? points[0][points[0].length - 1] : 0;
    if (box.dataset.span !== "10m" || t - last > 5) {
      // Coarser points come ten seconds apart, and what was missed is fetched.
      if (Date.now() - asked > (t - last > 5 && box.dataset.span === "10m" ? 2000 : 10000)) fetchPoints();
      return;
    }
    if (t <= last) return;
    const from = t - 600;
    let drop = 0;
    while (drop < points[0].length && points[0][drop] < from) drop++;
    points = points.map((column, i) => column.slice(drop).concat(p[i]));
    for (const plot of plots) plot.setData(dataOf(kindOf(plot)));
  }
  if (box) {
    fetchPoints();
    let resized = 0;
    new ResizeObserver(() => {
      cancelAnimationFrame(resized);
      resized = requestAnimationFrame(() => {
        for (const p of plots) p.setSize({ width: Math.max(260, p.root.parentElement.clientWidth), height: 200 });
      });
    }).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  }
  choose();
})();
