package persist

import (
	"errors"
	"io"
	"io/fs"
)

// FS is what a journal needs of a file system. Names are paths. Its errors are
// those of package os, and name the file.
type FS interface {
	// ReadDir returns the files in a directory, by name.
	ReadDir(dir string) ([]FileInfo, error)
	// ReadFile returns what is in a file, in buf if there is room in it.
	ReadFile(name string, buf []byte) ([]byte, error)
	// Create makes a new file, to be written to.
	Create(name string) (File, error)
	// Open opens a file to be written to.
	Open(name string) (File, error)
	// OpenRead opens a file to be read.
	OpenRead(name string) (Reader, error)
	Rename(from, to string) error
	Remove(name string) error
	// Mkdir makes a directory. It may exist.
	Mkdir(dir string) error
	// SyncDir makes durable what files there are in a directory, by what names.
	SyncDir(dir string) error
}

// FileInfo is a file in a directory.
type FileInfo struct {
	Name string // in the directory
	Size int64  // bytes
	Dir  bool
}

// File is a file that is written to. Sync may be called while WriteAt or
// Allocate is; nothing else may be called at the same time.
type File interface {
	WriteAt(b []byte, offset int64) (int, error)
	// Sync makes durable what has been written.
	Sync() error
	// Allocate makes sure that there is room for size bytes from the start on,
	// and makes the file so long at least.
	Allocate(size int64) error
	Truncate(size int64) error
	Close() error
}

// Reader is a file that is read. Its methods may be called at the same time,
// Close too.
type Reader interface {
	io.ReaderAt
	// ReadNow is ReadAt, but reads nothing unless it can be read without
	// waiting for the disk.
	ReadNow(b []byte, offset int64) (n int, ok bool)
	Close() error
}

// ErrFull is in the errors of a disk without room.
var ErrFull = errors.New("no space left")

// isFull reports whether err says that there is no room on the disk.
func isFull(err error) bool { return errors.Is(err, ErrFull) || isNoSpace(err) }

// isMissing reports whether err says that there is no such file.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
