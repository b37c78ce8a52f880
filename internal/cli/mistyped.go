package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// hint returns a line about a command line that the server cannot be started with, and
// that may have been meant to be one of a command; or "".
func hint(root *cobra.Command, args []string) string {
	if len(args) == 0 {
		return ""
	}
	first, name := args[0], root.Name()
	if strings.HasPrefix(first, "-") {
		flag, _, _ := strings.Cut(first, "=")
		if !slices.Contains([]string{"--server", "--token", "--timeout", "--json"}, flag) {
			return ""
		}
		command := "COMMAND"
		for _, word := range args[1:] {
			if isCommand(root, word) {
				command = word
				break
			}
		}
		return fmt.Sprintf("%s stands behind the command: %s %s %[1]s ...", flag, name, command)
	}
	if near := nearest(root, first); near != "" {
		return fmt.Sprintf("did you mean %q? %[2]s help lists the commands", name+" "+near, name)
	}
	return ""
}

// nearest returns the command of which a word may be a misspelling, or "".
func nearest(root *cobra.Command, word string) string {
	const (
		short   = 2 // what is no longer is like anything
		correct = 3 // letters to each wrong one
	)
	if len(word) <= short {
		return ""
	}
	root.SuggestionsMinimumDistance = max(1, len(word)/correct)
	for _, near := range root.SuggestionsFor(word) {
		return near
	}
	return ""
}
