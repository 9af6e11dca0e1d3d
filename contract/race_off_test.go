//go:build !race

package contract_test

// raceEnabled tells that the tests are built with the race detector.
const raceEnabled = false
