// The charts of this page: the numbers nearest to the pointer, and a switch of each axis between linear
// and log. Everything comes from the JSON beside each chart; nothing is loaded.
"use strict";
(() => {
  const MOST = 12; // lines of a tip
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");

  addEventListener("scroll", () => (tip.hidden = true), { passive: true });

  const fresh = (tag, className, text = "") => {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  };
  const shown = (value) =>
    value === null ? "n/a"
    : Number.isInteger(value) ? value.toLocaleString("en")
    : Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(4)))
    : value.toExponential(2);
  const share = (scale, value) => {
    if (value === null) return NaN;
    if (!scale.log) return (value - scale.low) / (scale.high - scale.low);
    const at = value < scale.low ? scale.floor : value;
    return Math.log(at / scale.low) / Math.log(scale.high / scale.low);
  };

  for (const figure of document.querySelectorAll("figure.chart")) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const svg = figure.querySelector("svg");
    const groups = [...svg.querySelectorAll(".curve")];
    const [left, top, right, bottom] = data.frame;
    const now = { x: data.x.first, y: data.y.first };
    const scale = (axis) => data[axis].scales[now[axis]];
    const across = (value) => left + share(scale("x"), value) * (right - left);
    const down = (value) => bottom - share(scale("y"), value) * (bottom - top);
    const part = (name, attributes, text) => {
      const element = document.createElementNS(svg.namespaceURI, name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      if (text !== undefined) element.textContent = text;
      return element;
    };

    const grid = (values) =>
      values("x").map((value) => `M${across(value).toFixed(1)} ${top}V${bottom}`).join("")
      + values("y").map((value) => `M${left} ${down(value).toFixed(1)}H${right}`).join("");
    const path = (places) =>
      places.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

    const redraw = () => {
      svg.querySelector(".minor").setAttribute("d", grid((axis) => scale(axis).minor));
      svg.querySelector(".major").setAttribute("d", grid((axis) => scale(axis).ticks.map(([value]) => value)));
      const labels = [
        ...scale("x").ticks.map(([value, text]) =>
          part("text", { class: "x", x: across(value).toFixed(1), y: bottom + 18 }, text)),
        ...scale("y").ticks.map(([value, text]) =>
          part("text", { class: "y", x: left - 6, y: (down(value) + 4.3).toFixed(1) }, text)),
      ];
      svg.querySelector(".ticks").replaceChildren(...labels);
      for (const axis of ["x", "y"]) {
        svg.querySelector(`.name.${axis}`).textContent = data[axis].name + (scale(axis).log ? " (log)" : "");
      }
      data.curves.forEach((curve, index) => {
        let [band, line, dots] = ["", "", ""];
        const pieces = [[]];
        curve.x.forEach((x, i) => {
          const place = [across(x), down(curve.y[i]), i];
          if (Number.isNaN(place[0] + place[1])) pieces.push([]);
          else pieces[pieces.length - 1].push(place);
        });
        for (const piece of pieces.filter((points) => points.length)) {
          if (curve.spread) {
            const edge = (sign) => piece.map(([x, , i]) => [x, down(curve.y[i] + sign * (curve.spread[i] ?? 0))]);
            band += path([...edge(1), ...edge(-1).reverse()]) + "Z";
          }
          line += path(piece);
          if (curve.x.length <= data.marks || piece.length === 1) {
            dots += piece.map(([x, y]) => `M${x.toFixed(1)} ${y.toFixed(1)}h0`).join("");
          }
        }
        for (const [name, d] of Object.entries({ band, line, dots })) {
          groups[index].querySelector(`.${name}`).setAttribute("d", d);
        }
      });
    };

    // A button for each axis that has two scales.
    for (const axis of ["x", "y"]) {
      if (data[axis].scales.length < 2) continue;
      const button = fresh("button", "scale");
      button.type = "button";
      const tell = () => {
        button.textContent = `${axis}: ${scale(axis).log ? "log" : "linear"}`;
        button.title = `Show ${data[axis].name} on a ${scale(axis).log ? "linear" : "log"} scale`;
      };
      button.addEventListener("click", () => {
        now[axis] = 1 - now[axis];
        hide();
        redraw();
        tell();
      });
      tell();
      figure.querySelector("figcaption").append(button);
    }

    const overlay = svg.appendChild(part("g", { class: "overlay" }));
    const visible = () =>
      data.curves.map((curve, index) => ({ curve, group: groups[index] }))
        .filter(({ group }) => getComputedStyle(group).display !== "none");
    const hide = () => {
      overlay.replaceChildren();
      tip.hidden = true;
    };
    // Shows the point of each curve that is nearest to a place, at most MOST of them.
    const show = (px, py) => {
      const nearest = visible().map(({ curve, group }) => {
        const distances = curve.x.map((x, i) => (curve.y[i] === null ? Infinity : Math.abs(across(x) - px)));
        const i = distances.reduce((best, value, at) => (value < distances[best] ? at : best), 0);
        return { curve, group, i, x: across(curve.x[i]), y: down(curve.y[i]), far: distances[i] };
      }).filter(({ far }) => far < Infinity);
      if (!nearest.length) return hide();
      const lead = nearest.reduce((best, other) => (other.far < best.far ? other : best));
      const rows = nearest.sort((a, b) => Math.abs(a.y - py) - Math.abs(b.y - py)).slice(0, MOST)
        .sort((a, b) => a.y - b.y);
      const colour = ({ group }) => [...group.classList].find((name) => /^c\d$/.test(name));
      overlay.replaceChildren(
        part("line", { class: "rule", x1: lead.x, x2: lead.x, y1: top, y2: bottom }),
        ...rows.map((row) => part("circle", { class: `mark ${colour(row)}`, cx: row.x, cy: row.y, r: 4 })),
      );
      const table = fresh("table", "");
      for (const row of rows) {
        const { curve, i } = row;
        const line = table.insertRow();
        const name = line.appendChild(fresh("td", colour(row)));
        name.append(fresh("i", ""), curve.name);
        const spread = curve.spread && curve.spread[i] !== null ? ` ± ${shown(curve.spread[i])}` : "";
        line.append(fresh("td", "value", shown(curve.y[i]) + spread));
        const step = curve.step && curve.step[i] !== null ? `step ${shown(curve.step[i])}` : "";
        const where = curve.x[i] === lead.curve.x[lead.i] ? step : `at ${shown(curve.x[i])} ${step}`;
        line.append(fresh("td", "step", where));
      }
      const leftOut = nearest.length - rows.length;
      const more = leftOut ? [fresh("div", "note", `${leftOut} more lines farther from the pointer`)] : [];
      tip.replaceChildren(fresh("div", "", `${data.x.name} ${shown(lead.curve.x[lead.i])}`), table, ...more);
      tip.hidden = false;
      // Beside the pointer; where that is too narrow, below or above the chart.
      const box = svg.getBoundingClientRect();
      const [width, height] = [tip.offsetWidth, tip.offsetHeight];
      const x = box.left + lead.x / data.size[0] * box.width;
      let y = box.top + py / data.size[1] * box.height + 16;
      if (2 * width > innerWidth) y = box.bottom + height + 8 <= innerHeight ? box.bottom : box.top - height;
      const beside = x + 16 + width <= innerWidth ? x + 16 : x - 16 - width;
      tip.style.left = `${Math.max(8, Math.min(beside, document.documentElement.clientWidth - width - 8))}px`;
      tip.style.top = `${Math.max(8, Math.min(y, innerHeight - height - 8))}px`;
    };
    const follow = (event) => {
      const box = svg.getBoundingClientRect();
      show((event.clientX - box.left) / box.width * data.size[0], (event.clientY - box.top) / box.height * data.size[1]);
    };
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());

    // Left and right go from point to point, Home and End to the ends; Escape hides the tip.
    let at = -1;
    svg.tabIndex = 0;
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const places = [...new Set(visible().flatMap(({ curve }) => curve.x))].sort((a, b) => a - b);
      const next = { ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(places.length - 1, at + 1), Home: 0, End: places.length - 1 }[event.key];
      if (event.key === "Escape") return hide();
      if (next === undefined) return;
      event.preventDefault();
      at = next;
      show(across(places[at]), (top + bottom) / 2);
    });
  }
})();
