package slab

import (
	"bytes"
	"os"
	"testing"
)

// TestMappingsStayFew frees every second of many long strings. A hole in the
// address space for each would run into the limit on mappings, 65530 by
// default, which ends the process.
func TestMappingsStayFew(t *testing.T) {
	const n, most = 20_000, 2_000
	mappings := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(maps, []byte("\n"))
	}
	before := mappings()
	var b Bytes
	var refs []Ref
	for range n {
		ref, ok := b.Alloc(slabLimit + 1)
		if !ok {
			t.Fatal("no room")
		}
		refs = append(refs, ref)
	}
	for i := 0; i < n; i += 2 {
		b.Free(refs[i])
	}
	if got := mappings() - before; got > most {
		t.Errorf("%d strings have left %d mappings, want %d at most", n/2, got, most)
	}
	for i := 1; i < n; i += 2 {
		b.Free(refs[i])
	}
}
