package slab

import (
	"runtime"
	"unsafe"
)

const (
	// regionBytes of address space are asked of the system at a time. Memory
	// is used only for what is touched of it.
	regionBytes = 64 << 20

	// retainBytes of free pages are kept for reuse before further ones go
	// back to the system, so that a queue that breathes does not pay a system
	// call for every page.
	retainBytes = 1 << 20

	// growingBytes is from how much memory on an arena is taken to go on
	// growing: it asks for the memory of a page at once then, and not as its
	// parts are touched.
	growingBytes = 4 << 20
)

// An Arena hands out pages of one size to any number of slabs. The zero value
// is not usable; see NewArena.
type Arena struct {
	pageBytes int
	rest      []byte           // of the newest region: pages never handed out
	retained  []unsafe.Pointer // free pages whose memory is still there
	returned  []unsafe.Pointer // free pages whose memory the system took back
	used      int              // pages handed out
	regions   *[][]byte        // all that was asked of the system
}

// NewArena returns an arena of pages of pageBytes, which must be a multiple of
// 4096.
func NewArena(pageBytes int) *Arena {
	if pageBytes <= 0 || pageBytes%4096 != 0 {
		panic("slab: page size is not a multiple of 4 KiB")
	}
	a := &Arena{pageBytes: pageBytes, regions: new([][]byte)}
	runtime.AddCleanup(a, unmapRegions, a.regions)
	return a
}

// unmapRegions gives back everything that an arena had. It runs when nobody
// has the arena any more, nor a slab in it.
func unmapRegions(regions *[][]byte) {
	for _, r := range *regions {
		unmapRegion(r)
	}
}

// Bytes returns how much memory is in use or kept for reuse.
func (a *Arena) Bytes() int { return (a.used + len(a.retained)) * a.pageBytes }

// Page returns the first byte of a page. What it holds is undefined. It panics
// if the system has no memory left.
func (a *Arena) Page() unsafe.Pointer {
	p := a.page()
	if p == nil {
		panic("slab: the system has no memory left")
	}
	return p
}

// page is Page, but returns nil if the system has no memory left.
func (a *Arena) page() unsafe.Pointer {
	if !a.HasRoom() {
		return nil
	}
	for _, list := range []*[]unsafe.Pointer{&a.retained, &a.returned} {
		if n := len(*list); n > 0 {
			p := (*list)[n-1]
			*list = (*list)[:n-1]
			a.used++
			return p
		}
	}
	a.used++
	page := a.rest[:a.pageBytes]
	a.rest = a.rest[a.pageBytes:]
	if a.pageBytes <= sparePage && a.used*a.pageBytes > growingBytes {
		populate(page)
	}
	return unsafe.Pointer(unsafe.SliceData(page))
}

// HasRoom reports whether a page can be had, and sees to it that the next one
// can if the system has the memory.
func (a *Arena) HasRoom() bool {
	if len(a.retained) > 0 || len(a.returned) > 0 {
		return true
	}
	if len(a.rest) == 0 {
		a.rest = mapRegion(max(1, regionBytes/a.pageBytes) * a.pageBytes)
		if a.rest == nil {
			return false
		}
		*a.regions = append(*a.regions, a.rest)
	}
	return true
}

// Release takes back a page that Page returned. Nothing may use it any more.
func (a *Arena) Release(p unsafe.Pointer) {
	a.used--
	if (len(a.retained)+1)*a.pageBytes <= retainBytes {
		a.retained = append(a.retained, p)
		return
	}
	returnPages(unsafe.Slice((*byte)(p), a.pageBytes))
	a.returned = append(a.returned, p)
}

// Shrink gives the memory of all pages that are kept for reuse back to the
// system.
func (a *Arena) Shrink() {
	for _, p := range a.retained {
		returnPages(unsafe.Slice((*byte)(p), a.pageBytes))
	}
	a.returned = append(a.returned, a.retained...)
	a.retained = a.retained[:0]
}
