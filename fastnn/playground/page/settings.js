// The form: what it says, as the server takes it.

const DEFAULT_UNITS = 8;
const NOISE = { spiral: "0.2", circles: "0.05", xor: "0.15" }; // at which a network learns nearly all

export class SettingsForm {
  constructor(form, onChange, onRate) {
    this.form = form;
    this.units = form.querySelector("#units");
    this.layUnits();
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", ({ target }) => {
      if (target.name === "data" && target.value in NOISE) form.elements.noise.value = NOISE[target.value];
      if (target.name === "learning_rate") {
        onRate(Number(target.value));
        return;
      }
      this.layUnits();
      this.disable();
      onChange();
    });
    this.disable();
  }

  get data() {
    return this.form.elements.data.value;
  }

  get classes() {
    return this.data === "xor" ? 2 : Number(this.form.elements.classes.value);
  }

  values(points) {
    const { elements } = this.form;
    const number = (name) => Number(elements[name].value);
    const hidden = [...this.units.querySelectorAll("input")].map((input) => Number(input.value));
    return {
      data: this.data,
      classes: number("classes"),
      noise: number("noise"),
      seed: number("seed"),
      points: this.data === "own" ? points : [],
      hidden,
      activation: elements.activation.value,
      optimizer: elements.optimizer.value,
      learning_rate: number("learning_rate"),
      batch_size: elements.batch_size.value === "" ? null : number("batch_size"),
      l2: number("l2"),
    };
  }

  // What the chosen data does not have.
  disable() {
    this.form.elements.classes.disabled = this.data === "xor";
    this.form.elements.noise.disabled = this.data === "own";
  }

  // A field for the units of each layer.
  layUnits() {
    const wanted = Number(this.form.elements.layers.value);
    while (this.units.children.length > wanted) this.units.lastChild.remove();
    while (this.units.children.length < wanted) {
      const number = this.units.children.length + 1;
      const [row, label, input] = ["p", "label", "input"].map((tag) => document.createElement(tag));
      row.className = "row";
      Object.assign(label, { htmlFor: `units-${number}`, textContent: `Units of layer ${number}` });
      Object.assign(input, { id: label.htmlFor, type: "number", min: 1, max: 16, value: DEFAULT_UNITS });
      row.append(label, input);
      this.units.append(row);
    }
  }
}
