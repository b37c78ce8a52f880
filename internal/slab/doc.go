// Package slab keeps many small values of one size outside the sight of the
// garbage collector.
//
// A queue of ten million jobs must not be ten million pointers: marking them
// takes seconds. A Slab holds its values in pages that come straight from the
// operating system, and names a value by a 32-bit index instead of an
// address. The collector sees one pointer a page, and the index is half the
// size of a pointer where it is stored.
//
// A page whose values have all been freed goes back to the Arena it came
// from, and from there back to the operating system, so that a server whose
// queue has drained is small again.
//
// The package is a value like those at the top of the module: it starts
// nothing, and is not safe for concurrent use.
package slab
