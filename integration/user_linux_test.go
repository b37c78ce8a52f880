package integration

import (
	"os"
	"os/user"
	"slices"
	"strings"
	"testing"

	"spoked/internal/config"
)

func TestUser(t *testing.T) {
	t.Parallel()
	s := spawn(t, "-l", "127.0.0.1", "-p", "0", "-u", "no-such-user")
	s.wantExit(t, config.ExitNoUser)
	s.wantStderr(t, "no such user: no-such-user")

	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Skip("no user to become: ", err)
	}
	groups, err := nobody.GroupIds()
	if err != nil {
		t.Fatal(err)
	}
	s = startServer(t, spokedPath(t), "-u", nobody.Username)
	awaitLog(t, s, "listening") // which it said as that user
	for key, want := range map[string]string{
		"Uid": strings.Repeat(nobody.Uid+" ", 4), "Gid": strings.Repeat(nobody.Gid+" ", 4), "Groups": strings.Join(groups, " "),
	} {
		if got, want := strings.Fields(processStatus(t, s.Pid, key)), strings.Fields(want); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}
