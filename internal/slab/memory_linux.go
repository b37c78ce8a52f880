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

// populate has the system put memory behind b, which will be touched soon. It
// is cheaper than a fault for every 4 KiB.
func populate(b []byte) { _ = unix.Madvise(b, unix.MADV_POPULATE_WRITE) }

// returnPages gives the memory behind b back to the system; b reads as zeros
// afterwards. Its address space is kept: unmapping would split the mapping, and
// there is a limit on how many a process may have.
func returnPages(b []byte) { _ = unix.Madvise(b, unix.MADV_DONTNEED) }

// unmapRegion gives back what mapRegion returned.
func unmapRegion(b []byte) { _ = unix.Munmap(b) }
