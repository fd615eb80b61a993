// Loaded before the server: its clock starts at the instant in TEST_NOW.
const Real = Date;
const offset = Number(process.env.TEST_NOW) - Real.now();

globalThis.Date = class extends Real {
  constructor(...parts) {
    if (parts.length === 0) super(Real.now() + offset);
    else super(...parts);
  }

  static now() {
    return Real.now() + offset;
  }
};
