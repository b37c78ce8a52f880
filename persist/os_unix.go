//go:build unix

package persist

import "os"

func syncDir(d *os.File) error { return d.Sync() }
