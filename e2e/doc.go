// Package e2e holds tests only: the demo page, the status page and client-example in a real Chromium, against the real
// program on a real PostgreSQL. What the pages do with every kind of answer is tested in internal/page; here it is seen
// that the whole fits together.
//
// With TEST_ARTIFACTS set the tests leave pictures of the pages there. The README's picture, docs/demo.png, is TestDemo's
// demo-wide-light.png, taken on a quiet machine.
package e2e
