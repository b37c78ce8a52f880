//go:build !linux

package slab

// mapRegion returns n bytes of the Go heap. They hold no pointers, so the
// collector does not look into them, but it decides when they are freed.
func mapRegion(n int) []byte { return make([]byte, n) }

// populate does nothing.
func populate([]byte) {}

// returnPages does nothing: a page of the Go heap is kept for reuse.
func returnPages([]byte) {}

// unmapRegion leaves b to the collector.
func unmapRegion([]byte) {}
