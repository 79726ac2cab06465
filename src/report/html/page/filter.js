// Which tests are shown, and in which order.

const filter = { text: "", outcome: "", profile: "", violation: "" };

/** What the text of the search is looked for in, made when it is first needed. */
const haystack = (() => {
  let texts = null;
  return (row) => {
    if (texts === null) {
      texts = rows.map((one) => (testName(one) + "\n" + verdictText(one)).toLowerCase());
    }
    return texts[row];
  };
})();

const hasOutcome = (row, wanted) => {
  switch (wanted) {
    case "": return true;
    case "not-good": return !isGood(row);
    case "flaky": return isFlaky(row);
    default: return label("outcome", row) === wanted;
  }
};

const hasViolation = (row, wanted) => {
  const found = violationsOf.get(row) || [];
  switch (wanted) {
    case "": return true;
    case "any": return found.length > 0;
    case "leak": return (leaksOf.get(row) || []).some((leak) => leak.counts);
    default: return found.some((violation) => violation.kind === wanted);
  }
};

const filtered = () => {
  const text = filter.text.toLowerCase();
  return lastRows.filter((row) =>
    hasOutcome(row, filter.outcome) &&
    (filter.profile === "" || label("profile", row) === filter.profile) &&
    // A violation of an earlier attempt is the test's too.
    rowsOfTest.get(data.test[row]).some((one) => hasViolation(one, filter.violation)) &&
    (text === "" || haystack(row).includes(text)));
};

const byFigure = (name) => (row) => figure(name, row);

const violationCount = (row) => (violationsOf.get(row) || []).length;

/** How much a test asks for attention. */
const importance = (row) => {
  const outcome = label("outcome", row);
  if (!isGood(row)) {
    return outcome === "not-run" ? 3 : 4;
  }
  return violationCount(row) > 0 ? 2 : isFlaky(row) ? 1 : 0;
};

/** Sorts what `key` gives, absent values last whatever the direction. */
const sorted = (all, key, direction) => {
  const keys = new Map(all.map((row) => [row, key(row)]));
  return all.slice().sort((a, b) => {
    const [one, other] = [keys.get(a), keys.get(b)];
    if (one === null || other === null) {
      return (one === null) - (other === null);
    }
    return (one < other ? -1 : one > other ? 1 : 0) * direction;
  });
};

