//go:build !race

package integration

// raceDetector says that the server is to be built with the race detector,
// because the tests are.
const raceDetector = false
