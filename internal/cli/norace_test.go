//go:build !race

package cli_test

// raced tells whether the race detector is watching.
const raced = false
