package images

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// LockFile is locked (flock) by the process that builds, for as long as it does.
func LockFile(cache string) string { return filepath.Join(cache, "images", ".lock") }

func (t *Table) isLater(r *Recipe) bool { return slices.Contains(t.Later, r.Name) }

func (t *Table) isAsked(r *Recipe) bool { return slices.Contains(t.Asked, r.Name) }

// forgetOutdated makes the registry say that it does not have the images that
// are to be built later, where it has them as an older recipe made them.
func (b *builder) forgetOutdated(ctx context.Context) error {
	for _, r := range b.table.Entries {
		if r.reference == "" || !b.table.isLater(r) || b.current(ctx, r) {
			continue
		}
		if err := b.store.removeTag(ctx, r.reference); err != nil {
			return fmt.Errorf("forget the outdated image %s: %w", r.reference, err)
		}
	}
	return nil
}

// anyLeft says whether something is still to be built, now or later.
func (b *builder) anyLeft(ctx context.Context) bool {
	return slices.ContainsFunc(b.table.Entries, func(r *Recipe) bool { return !b.table.isAsked(r) && !b.current(ctx, r) })
}
