package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/api"
)

// completeTube returns the names of tubes that begin with what has been typed. A
// server that does not answer at once has none.
func (r *remote) completeTube(_ *cobra.Command, _ []string, typed string) (names []string, _ cobra.ShellCompDirective) {
	const most = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	quick := *r
	quick.timeout = seconds(most)
	if to, err := quick.open(ctx); err == nil {
		defer to.close()
		to.tubes(ctx, typed, func(t *api.Tube) error {
			names = append(names, t.Name)
			return nil
		})
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFirstTube is completeTube for a command whose first argument is a tube.
func (r *remote) completeFirstTube(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return r.completeTube(c, args, typed)
}
