package slab

import "golang.org/x/sys/unix"

// mapRegion returns n bytes of address space that cost nothing until touched,
// or nil if the system has none.
func mapRegion(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return b
}

// returnPages gives the memory behind b back to the system; b reads as zeros
// afterwards. Advice keeps the mapping whole, where unmapping would split it
// and run into the system's limit on mappings.
func returnPages(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) }

// unmapRegion gives up what mapRegion returned, address space included.
func unmapRegion(b []byte) { _ = unix.Munmap(b) }
