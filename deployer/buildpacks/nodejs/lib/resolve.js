'use strict';
// resolve.js SEMVER OFFERS RANGE PREFERRED BOUND NODE: prints the version to install.
// Of those within RANGE (and BOUND, if any) and made for NODE (if any): the newest within PREFERRED, else the newest.
// exit 3: RANGE is none; exit 4: nothing fits, and what there is was printed

const [semver, offers, asked, preferred, bound, node] = process.argv.slice(2);
const { maxSatisfying, rcompare, satisfies, validRange, prerelease, major } = require(semver);
const { versions, 'dist-tags': tags = {} } = JSON.parse(require('fs').readFileSync(offers, 'utf8'));

const range = tags[asked] || asked;
if (validRange(range) === null) process.exit(3);

const allowed = Object.keys(versions).filter((version) => !bound || satisfies(version, bound));
const fitting = allowed.filter((version) => satisfies(version, range));
const made = fitting.filter((version) => {
  const wanted = (versions[version].engines || {}).node;
  return !node || !wanted || satisfies(node, wanted);
});
// an exact version is taken though it says that it is not made for this Node.js
const candidates = made.length ? made : fitting;
const chosen = (preferred && maxSatisfying(candidates, preferred)) || candidates.sort(rcompare)[0];

if (!chosen) {
  const newest = new Map();
  for (const version of allowed.filter((version) => !prerelease(version)).sort(rcompare)) {
    if (!newest.has(major(version))) newest.set(major(version), version);
  }
  console.log([...newest.values()].slice(0, 8).join(', '));
  process.exit(4);
}
console.log(chosen);
