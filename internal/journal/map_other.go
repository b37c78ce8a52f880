//go:build !unix

package journal

import "os"

// mapFile returns what is in a file.
func mapFile(name string) (data []byte, unmap func(), err error) {
	data, err = os.ReadFile(name)
	return data, func() {}, err
}
