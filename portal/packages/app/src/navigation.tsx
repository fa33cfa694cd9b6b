import {
  Sidebar,
  SidebarDivider,
  SidebarItem,
  SidebarSpace,
  useSidebarOpenState,
} from '@backstage/core-components';
import { identityApiRef, useApi } from '@backstage/core-plugin-api';
import { createFrontendModule } from '@backstage/frontend-plugin-api';
import { NavContentBlueprint } from '@backstage/plugin-app-react';
import { makeStyles } from '@material-ui/core/styles';
import ExitToAppIcon from '@material-ui/icons/ExitToApp';

const useStyles = makeStyles({
  name: { color: '#fff', fontWeight: 700, fontSize: 20, padding: '20px 24px 16px', whiteSpace: 'nowrap' },
});

const Name = () => {
  const classes = useStyles();
  const { isOpen } = useSidebarOpenState();
  return <div className={classes.name}>{isOpen ? 'NeuroScale' : 'N'}</div>;
};

const SignOut = () => {
  const identity = useApi(identityApiRef);
  return <SidebarItem icon={ExitToAppIcon} text="Sign out" onClick={() => identity.signOut()} />;
};

const content = NavContentBlueprint.make({
  params: {
    component: ({ navItems }) => {
      const items = navItems.withComponent(item => (
        <SidebarItem icon={() => item.icon} to={item.href} text={item.title} />
      ));
      return (
        <Sidebar>
          <Name />
          <SidebarDivider />
          {items.rest({ sortBy: 'title' })}
          <SidebarSpace />
          <SidebarDivider />
          <SignOut />
        </Sidebar>
      );
    },
  },
});

export const navigationModule = createFrontendModule({ pluginId: 'app', extensions: [content] });
