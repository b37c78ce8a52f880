package persist

import "os"

// Directories cannot be synced here.
func syncDir(*os.File) error { return nil }
