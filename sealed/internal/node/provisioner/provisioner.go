// Package provisioner makes PersistentVolumes as folders of the node.
package provisioner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name of the provisioner in the StorageClass.
const Name = "neuroscale.io/local-path"

type local struct {
	dir, node string
	log       *slog.Logger
}

// Run serves the claims of StorageClasses of this provisioner with folders
// below dir on the node, until ctx ends.
func Run(ctx context.Context, client kubernetes.Interface, dir, node string, log *slog.Logger) {
	ctx = klog.NewContext(ctx, logr.FromSlogHandler(log.Handler()))
	c := controller.NewProvisionController(ctx, client, Name, &local{dir, node, log},
		controller.LeaderElection(false), controller.Threadiness(2))
	c.Run(ctx)
}

// Provision makes a folder every user may write to: hostPath volumes get no
// fsGroup, and pods run as whom their image says.
func (l *local) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	if o.PVC.Spec.VolumeMode != nil && *o.PVC.Spec.VolumeMode == corev1.PersistentVolumeBlock {
		return nil, controller.ProvisioningFinished, errors.New("volumeMode Block is not supported: use Filesystem")
	}
	path := filepath.Join(l.dir, o.PVName)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("create volume %s: %w", o.PVName, err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("open volume %s to pods: %w", o.PVName, err)
	}
	l.log.Info("volume created", "volume", o.PVName, "claim", o.PVC.Namespace+"/"+o.PVC.Name)
	kind := corev1.HostPathDirectory
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   o.PVC.Spec.AccessModes,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{l.node},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the folder of a volume.
func (l *local) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	source := volume.Spec.HostPath
	if source == nil || filepath.Dir(source.Path) != filepath.Clean(l.dir) {
		return &controller.IgnoredError{Reason: fmt.Sprintf("volume %s is no folder of this node", volume.Name)}
	}
	if err := os.RemoveAll(source.Path); err != nil {
		return fmt.Errorf("remove volume %s: %w", volume.Name, err)
	}
	l.log.Info("volume removed", "volume", volume.Name)
	return nil
}
